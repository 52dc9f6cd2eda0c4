"""The inventory of a location: numbers, pools, numbering plans, and numbers for sale."""
