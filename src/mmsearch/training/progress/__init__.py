"""What can be looked at while a training runs."""
