"""Directories that speak LDAP: who somebody is there, a password proved by binding, and everybody looked up again."""
