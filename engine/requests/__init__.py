"""What clients may ask for: one file an area, one function a request. engine/service.py lists them."""
