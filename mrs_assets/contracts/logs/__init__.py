"""Every log's declaration, one small file each, and the catalogue over them."""
