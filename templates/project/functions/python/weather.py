"""The weather, asked of weatherapi.com: an example of a function that needs a key.

The key weather_api_key comes from the environment (WEATHER_API_KEY) or config/secrets.json, and this function sees it
because config/grants.yml says so.
"""
from __future__ import annotations

import json
import os
import urllib.error
import urllib.parse
import urllib.request

import sabir


def current(city: str) -> dict[str, object]:
    """Says what the weather is like in a city now.

    Args:
        city: The city's name, for instance Paris.

    Returns:
        The keys are city, celsius and sky.

    Raises:
        ValueError: The service knows no such city.

    Effect: read
    Timeout: 10s
    """
    base = os.environ.get("WEATHER_API_URL", "https://api.weatherapi.com/v1")
    query = urllib.parse.urlencode({"q": city, "key": sabir.secret("weather_api_key")})
    try:
        with urllib.request.urlopen(base + "/current.json?" + query, timeout=8) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        # The address holds the key, so the error is told in words of our own.
        if error.code == 400:
            raise ValueError("no weather for the city " + repr(city)) from None
        raise RuntimeError("the weather service answered with status %d" % error.code) from None
    return {
        "city": found["location"]["name"],
        "celsius": found["current"]["temp_c"],
        "sky": found["current"]["condition"]["text"],
    }
