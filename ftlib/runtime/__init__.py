"""What every other package stands on: errors, devices, processes, files."""
