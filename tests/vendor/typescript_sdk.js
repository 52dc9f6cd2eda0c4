// The vendor's TypeScript SDK over a sandbox: all four operations, and the tokens; prints JSON.
//
// Run by `test_vendor_sdks.py` where `@gohighlevel/api-client` is installed:
// `node typescript_sdk.js <url of a sandbox> <token of loc1> <refresh token> <agency token>`.

const { HighLevel } = require(process.env.VENDOR_SDK || "@gohighlevel/api-client");

async function main(url, token, refreshToken, agencyToken) {
  HighLevel.BASE_URL = url;
  const apiVersion = process.env.VENDOR_API_VERSION; // without it, the SDK's own choice
  const sdk = new HighLevel({ privateIntegrationToken: token, apiVersion });
  const phone = sdk.phoneSystem;
  const pools = await phone.getNumberPoolList({ locationId: "loc1" });
  const found = await phone.availableNumbers({
    locationId: "loc1", countryCode: "US", numberTypes: "local,tollFree", smsEnabled: true,
  });
  const wanted = found.numbers[0].phoneNumber;
  const bought = await phone.purchasePhoneNumber(
    { locationId: "loc1" },
    { phoneNumber: wanted, countryCode: "US", numberType: "local", fingerprintId: found.fingerprintId },
  );
  const listed = await phone.activeNumbers({
    locationId: "loc1", pageSize: 5, page: 0, skipNumberPool: false,
  });
  const refreshed = await sdk.oauth.refreshToken(
    refreshToken, "app-1", "s3cret", "refresh_token", "Location",
  );
  const agency = new HighLevel({
    clientId: "app-1", clientSecret: "s3cret", agencyAccessToken: agencyToken, apiVersion,
  });
  const location = await agency.oauth.getLocationAccessToken({
    companyId: "company", locationId: "loc1",
  });
  const installed = await agency.oauth.getInstalledLocation({ companyId: "company", appId: "any" });
  console.log(JSON.stringify({
    pools: pools.data.length,
    found: found.numbers.length,
    wanted,
    bought: Object.keys(bought.numbers).find((number) => number === wanted),
    listed: listed.numbers.length,
    refreshed: refreshed.access_token,
    location: location.access_token,
    installed: installed.locations.map((one) => one._id),
  }));
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
