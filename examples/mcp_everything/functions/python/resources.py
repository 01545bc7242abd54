"""Resources: functions whose value is a resource's contents."""
import sabir


def static_text() -> str:
    """A text.

    Effect: read
    """
    return "This is the content of the static text resource."


def static_binary() -> bytes:
    """A picture.

    Effect: read
    """
    return sabir.call("media.red_pixel")


def watched() -> str:
    """A resource that clients subscribe to.

    Effect: read
    """
    return "Nothing has happened."


def of_template(id: str) -> dict:
    """The data of one id.

    Effect: read

    Args:
        id: Whose data it is.
    """
    return {"id": id, "templateTest": True, "data": "Data for ID: " + id}
