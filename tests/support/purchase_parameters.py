"""Every optional parameter of a purchase, with a value and its name on the wire."""

EVERY_PARAMETER = {
    "address_sid": "AD1",
    "bundle_sid": "BU1",
    "country_code": "US",
    "number_type": "local",
    "payment_intent_id": "pi_1",
    "stripe_account_id": "acct_1",
    "payment_method_id": "pm_1",
    "locality": "Austin",
    "region": "TX",
    "fingerprint_id": "f1",
    "skip_location_kyc": True,
}
WIRE_NAMES = {
    "address_sid": "addressSid",
    "bundle_sid": "bundleSid",
    "country_code": "countryCode",
    "number_type": "numberType",
    "payment_intent_id": "paymentIntentId",
    "stripe_account_id": "stripeAccountId",
    "payment_method_id": "paymentMethodId",
    "locality": "locality",
    "region": "region",
    "fingerprint_id": "fingerprintId",
    "skip_location_kyc": "skipLocationKYC",
}
