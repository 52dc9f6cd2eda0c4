"""Helpers that tests share. Import them as `from support.raw_server import RawServer`.

Servers and other programs
    raw_server           HTTP server that records requests and sends the given bytes
    paged_server         HTTP server of one paged list, which can hold back any page
    agency               service of a few locations whose numbers a test defines
    shop                 sandbox that sells one number, its clients, a journal that can stall
    oauth_app            OAuth app installed in a sandbox, and the clock of both
    token_caller         plain HTTP client of the sandbox's token endpoints
    redis_server         Redis, Redis with Sentinel, Redis Cluster
    proxies              HAProxy and nginx, configured to repeat requests
    tunnels              CONNECT proxy, and TLS in front of a server
    mounts               small disks and read-only folders
    file_modes           permissions of files, and the umask
    lcphone_command      the `lcphone` command as a process
    forks                the process that `lcphone_command` forks, to start quickly

Time and cancellation
    fake_clock           event loop whose waits take no time
    until                waits for a condition
    await_points         runs an operation once for each of its await points, and disturbs it there

Expected values
    vendor_documents     the vendor's OpenAPI documents, and every example in them
    response_schemas     validates a response of the sandbox against the vendor's schemas
    openapi_request      a recorded request in the form that openapi-core validates
    lossless             compares a model with the JSON that it was decoded from
    purchase_parameters  every optional parameter of a purchase
    refused_calls        every operation as a call that fails, and the error of each status
    finding_cases        inventories, and the findings of each audit rule in them

Generated input
    generated_documents  Hypothesis strategies for responses, valid and broken
    any_response         decodes any response of any operation, and checks the outcome
    fuzz                 atheris fuzzer over `any_response`
"""
