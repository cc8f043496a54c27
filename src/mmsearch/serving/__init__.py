"""What Triton's Python models import. It is copied beside `model.py`, so that imports are relative."""
