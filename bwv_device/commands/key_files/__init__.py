"""Where keys come from: files, a passphrase, a token."""
