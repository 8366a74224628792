"""The images of one node: its own store and, if it has one, the parent store behind it.

A name means what the parent says it means, now: imported again over there, it is another image here with the next
container. What only the parent has is listed, and imported when a container or a pull needs it. Without its parent
(that is out of reach, say) a node goes on with what it has.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from os import PathLike

from nodeagent.runtime.images.auth import Credentials
from nodeagent.runtime.images.errors import ImageError, NotFound
from nodeagent.runtime.images.layout import Index
from nodeagent.runtime.images.parent import Parent
from nodeagent.runtime.images.store import Image, ImageStore, Removed
from sampan.logs import fields

log = logging.getLogger(__name__)


class NodeImages:
    """`parent` None: the store alone, and nothing here waits for anything but the disk."""

    def __init__(self, store: ImageStore, parent: Parent | None = None) -> None:
        self.store = store
        self._parent = parent
        self._importing = asyncio.Lock()
        self._complained = False

    async def status(self, ref: str) -> Image | None:
        """The image that a name, `repository@digest` or image ID means now. Raises InvalidReference."""
        if self._parent is None:
            return self.store.resolve(ref)
        return await asyncio.to_thread(self._status, self._parent, ref)

    async def have(self, ref: str) -> Image | None:
        """The same, imported if it was not. Raises ImageError."""
        image = await self.status(ref)
        if self._parent is None or image is None or image.imported:
            return image
        async with self._importing:
            return await asyncio.to_thread(self._import, self._parent, ref)

    async def images(self) -> list[Image]:
        """Every image, in order of name."""
        if self._parent is None:
            return self.store.list()
        return await asyncio.to_thread(self._list, self._parent)

    async def pull(self, ref: str, auth: Credentials | None) -> str:
        """Have an image from the parent or, if that has none of the name, from its registry; returns its ID."""
        if self._parent is not None and (await asyncio.to_thread(self._index, self._parent)).find(ref):
            image = await self.have(ref)
            if image is not None:
                return image.id
        from nodeagent.runtime.images.registry import pull  # aiohttp, which most nodes never need

        return await pull(self.store, ref, auth)

    def remove(self, image_id: str) -> Removed:
        """Take away what the node's own store has of it. Raises ImageInUse."""
        return self.store.remove(image_id)

    def usage(self) -> tuple[int, int]:
        """Bytes and inodes that the node's own images take."""
        return self.store.usage()

    def pin(self, image_id: str, owner: str, *, while_exists: str | PathLike[str] | None = None) -> None:
        """Keep an image that the node's own store has. Raises NotFound."""
        self.store.pin(image_id, owner, while_exists=while_exists)

    def unpin(self, image_id: str, owner: str) -> None:
        """Give up a pin; fine if there is none."""
        self.store.unpin(image_id, owner)

    # in a thread

    def _index(self, parent: Parent) -> Index:
        """What the parent says; nothing while it can't be read."""
        try:
            index = parent.index()
        except ImageError as error:
            if not self._complained:
                log.warning("going on without the parent store", extra=fields(error=error))
            self._complained = True
            return Index()
        self._complained = False
        return index

    def _status(self, parent: Parent, ref: str) -> Image | None:
        return self._look(parent, self._index(parent), ref)

    def _look(self, parent: Parent, index: Index, ref: str) -> Image | None:
        found = index.find(ref)
        own = self.store.resolve(found or ref)
        if found is None:
            return own
        if own is None:
            return parent.image(index, found)
        return _renamed(own, index)

    def _list(self, parent: Parent) -> list[Image]:
        index = self._index(parent)
        images = [_renamed(image, index) for image in self.store.list()]
        for image_id in index.images.keys() - {image.id for image in images}:
            try:
                images.append(parent.image(index, image_id))
            except ImageError as error:  # removed there since we read the index, or damaged
                log.warning("an image of the parent store is left out", extra=fields(error=error))
        return sorted(images, key=lambda image: (image.repo_tags, image.id))

    def _import(self, parent: Parent, ref: str) -> Image | None:
        for last in (False, True):
            index = parent.index()
            image_id = index.find(ref)
            if image_id is None or self.store.resolve(image_id) is not None:
                break
            try:
                parent.bring(image_id, index.images[image_id], index.names_of(image_id), self.store)
            except NotFound:  # removed there, or replaced, while we read it
                if last:
                    raise
            else:
                log.info("imported an image from the parent store", extra=fields(image=image_id))
                return self.store.resolve(image_id)
        return self._look(parent, index, ref)


def _renamed(image: Image, index: Index) -> Image:
    """An image of ours with the names that the parent gives it, and without those that it gives to another."""
    kept = {name for name in image.repo_tags if index.names.get(name, image.id) == image.id}
    return replace(image, repo_tags=tuple(sorted(kept.union(index.names_of(image.id)))))
