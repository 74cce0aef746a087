"""Where models come from: package indexes and hubs. Each source turns a name into a Delivery."""
