"""What makes a convolution slow, uneven or wrong."""
