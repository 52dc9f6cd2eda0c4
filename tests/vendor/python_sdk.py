"""The vendor's Python SDK over a sandbox: all four operations, and the tokens; prints JSON.

Run by `test_vendor_sdks.py` with an interpreter that has `gohighlevel-api-client`:
`python python_sdk.py <url of a sandbox> <token of loc1> <refresh token> <agency token>`.
"""

import asyncio
import json
import sys


async def main(url, token, refresh_token, agency_token):
    from highlevel import HighLevel

    HighLevel.BASE_URL = url
    sdk = HighLevel(private_integration_token=token)
    phone = sdk.phone_system
    pools = await phone.get_number_pool_list(location_id="loc1")
    found = await phone.list_available_numbers_for_a_country(
        first_part="",
        last_part="",
        anywhere="",
        number_types=["local", "tollFree"],
        sms_enabled=True,
        mms_enabled=False,
        voice_enabled=True,
        country_code="US",
        location_id="loc1",
    )
    order = {
        "phoneNumber": found["numbers"][0]["phoneNumber"],
        "addressSid": "",
        "bundleSid": "",
        "countryCode": "US",
        "numberType": "local",
        "paymentIntentId": "",
        "stripeAccountId": "",
        "paymentMethodId": "",
        "locality": "",
        "region": "",
        "fingerprintId": found["fingerprintId"],
        "skipLocationKYC": False,
    }
    bought = await phone.purchase_number_for_location(
        location_id="loc1", version="v3", request_body=order
    )
    listed = await phone.active_numbers(
        location_id="loc1", version="v3", page_size=5, page=0, skip_number_pool=False
    )
    refreshed = await sdk.oauth.refresh_token(
        refresh_token, "app-1", "s3cret", "refresh_token", "Location"
    )
    agency = HighLevel(client_id="app-1", client_secret="s3cret", agency_access_token=agency_token)
    location = await agency.oauth.get_location_access_token(
        {"companyId": "company", "locationId": "loc1"}
    )
    installed = await agency.oauth.get_installed_location(company_id="company", app_id="any")
    print(  # noqa: T201  # what it found
        json.dumps(
            {
                "pools": len(pools["data"]),
                "found": len(found["numbers"]),
                "wanted": order["phoneNumber"],
                "bought": bought["data"]["number"],
                "listed": len(listed["data"]["numbers"]),
                "total": listed["data"]["total"],
                "refreshed": refreshed.get("accessToken") or refreshed.get("access_token"),
                "location": location.get("accessToken") or location.get("access_token"),
                "installed": [one["_id"] for one in installed["items"]],
            }
        )
    )
    await sdk.http_client.aclose()
    await agency.http_client.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
