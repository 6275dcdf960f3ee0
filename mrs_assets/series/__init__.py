"""From received facts to one clean series per store and SKU, with what is known about each tick."""
