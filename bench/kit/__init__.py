"""What the benches share: figures and their table, clients, a filled installation, the peers' environments."""
