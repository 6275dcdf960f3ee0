"""What happens because something else happened."""
