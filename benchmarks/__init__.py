"""How fast the convolutions, the parts, a whole run and the zoo itself are."""
