"""Videos: the manifest, folders, lists, splits, labels and groups that name them."""
