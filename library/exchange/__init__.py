"""Exchange: what comes from files of other programs into a store or prompts, and what goes out for them."""
