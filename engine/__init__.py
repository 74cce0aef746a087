"""The long-lived process: models, the database, and the requests that reach them."""
