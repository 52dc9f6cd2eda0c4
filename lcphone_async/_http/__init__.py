"""One API call over HTTP: token, slot, attempt, response, retries and the circuit breaker."""
