"""What is known of models: the catalogue, files on disk, the hub, hardware and fit."""
