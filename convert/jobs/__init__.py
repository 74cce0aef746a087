"""One module a job kind: `run(params, job) -> result`."""
