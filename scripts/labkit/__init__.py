"""The lab: five hosts in network namespaces of this machine. scripts/lab is its command line."""
