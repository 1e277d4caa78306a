"Numbers that the command line shows in its help and other modules keep to. Importing them loads nothing."

MAX_PIXELS = 150_000_000  # larger photos are refused before they are decoded
