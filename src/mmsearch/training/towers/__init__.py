"""Text towers whose weights are trained together with the fusion."""
