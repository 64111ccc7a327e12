"""Find a photo in a store by the content of its file, whatever it is called there."""

from __future__ import annotations

from aligncat.errors import StoreError
from aligncat.files.hashes import file_sha256
from aligncat.store.complete import COMPLETE, read_complete
from aligncat.store.index import read_sources
from aligncat.store.manifest import FIRST_FORMAT
from aligncat.store.reader import Store
from aligncat.store.sources import Stamp
from aligncat.types import Candidates


class StoredPhotos:
    """The photos of a store, by the SHA-256 of their files.

    Args:
        store: the store.

    Raises:
        StoreError: the store is of the first format, which does not record what the files were.
    """

    def __init__(self, store: Store) -> None:
        if store.manifest.format == FIRST_FORMAT:
            raise StoreError(
                f"{store.folder}: a store of an older format, in which photos are not found by their content; extract "
                "again into another folder"
            )
        self._store = store
        self._complete = store.folder / COMPLETE
        table = read_sources(store.folder, store.manifest, read_complete(store.folder).sources)
        self._ids: dict[bytes, str] = {
            digest: image_id
            for batch in table.select(["image_id", "source_sha256"]).to_batches()
            for image_id, digest in zip(batch["image_id"].to_pylist(), batch["source_sha256"].to_pylist(), strict=True)
            if digest is not None and image_id in store
        }

    def find(self, stamp: Stamp) -> str | None:
        """Return the id of a photo with the same content, or None if the store has none."""
        return self._ids.get(bytes.fromhex(stamp.sha256))

    def sha256(self) -> str:
        """Return a hash of what the store holds, in hexadecimal. A copy of the store has the same one."""
        return file_sha256(self._complete)

    def candidates(self, image_id: str) -> Candidates:
        """Load the candidates of a photo.

        Raises:
            StoreError: its shard is damaged.
        """
        return self._store.candidates(image_id)
