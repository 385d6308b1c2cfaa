"""An archive that no registry should take, for the demo.
It is only ever uploaded; nothing unpacks it."""

import io
import tarfile


def climbing_archive() -> bytes:
    """A member named `../../etc/cron.d/job` beside a file that looks like a model."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, content in (("../../etc/cron.d/job", b"harm"), ("model.onnx", b"\x08\x08")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()
