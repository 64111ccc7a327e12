"""Getting RefCOCO and its kin: from an archive, a folder or a mirror into REFER's layout, and checking them."""
