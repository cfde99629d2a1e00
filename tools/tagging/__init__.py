"""Names of recordings checked by ear-like means: what sound taggers of other packages make of them."""
