"""What rules would say: why a file may be seen or not, what a policy would change, what an offered file would be."""
