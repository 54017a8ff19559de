"""Evidence stores: cameras deliver to them, custody works in them. One port (`hal.ports`)."""
