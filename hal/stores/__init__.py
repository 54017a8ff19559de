"""Evidence stores: where a camera delivers, and custody works. One port, `hal.ports`."""
