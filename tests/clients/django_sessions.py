"""Django's Redis cache and its cached sessions, through real requests of its test client.

usage: django_sessions.py PORT
"""

import sys
import time

import django
from django.conf import settings
from django.core.cache import cache
from django.http import JsonResponse
from django.test import Client
from django.urls import path

PORT = int(sys.argv[1])
passed = failed = 0


def check(name, got, expected):
    global passed, failed
    if got == expected:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {name}: got {got!r}, expected {expected!r}")


def visit(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    request.session.setdefault("cart", []).append(request.GET.get("item", ""))
    return JsonResponse({"visits": request.session["visits"], "cart": request.session["cart"]})


def login(request):
    request.session.cycle_key()
    request.session["user"] = "ada"
    request.session.set_expiry(2)
    return JsonResponse({"key": request.session.session_key})


def who(request):
    return JsonResponse({"user": request.session.get("user"), "visits": request.session.get("visits", 0)})


def logout(request):
    request.session.flush()
    return JsonResponse({})


urlpatterns = [path("visit", visit), path("login", login), path("who", who), path("logout", logout)]

settings.configure(
    SECRET_KEY="not a secret: it signs the sessions of a test",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    INSTALLED_APPS=["django.contrib.sessions"],
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    CACHES={
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": f"redis://127.0.0.1:{PORT}/1",
            "KEY_PREFIX": "shop",
        }
    },
)
django.setup()


def caching():
    check("set and get", [cache.set("k", {"a": [1, 2]}), cache.get("k")], [None, {"a": [1, 2]}])
    check("numbers", [cache.set("n", 5), cache.incr("n", 3), cache.decr("n"), cache.get("n")], [None, 8, 7, 7])
    check("add", [cache.add("k", 1), cache.add("new", 1)], [False, True])
    check("get_many", cache.get_many(["k", "n", "none"]), {"k": {"a": [1, 2]}, "n": 7})
    check("set_many", cache.set_many({f"m{i}": i for i in range(500)}, timeout=60), [])
    check("all of them", len(cache.get_many([f"m{i}" for i in range(500)])), 500)
    check("delete_many", [cache.delete_many(["m1", "m2"]), cache.get("m1")], [None, None])
    check("get_or_set", [cache.get_or_set("lazy", lambda: "made"), cache.get("lazy")], ["made", "made"])
    check("touch", [cache.touch("k", 100), cache.touch("none", 100)], [True, False])
    check("has_key", ["k" in cache, "none" in cache], [True, False])
    cache.set("short", "v", timeout=1)
    check("versions", [cache.set("v", "two", version=2), cache.get("v"), cache.get("v", version=2)], [None, None, "two"])
    time.sleep(1.1)
    check("timeout", cache.get("short"), None)
    check("clear", [cache.clear(), cache.get("k")], [True, None])


def sessions():
    shopper, other = Client(), Client()
    for i in range(1, 21):
        got = shopper.get("/visit", {"item": f"i{i}"}).json()
    check("a session keeps its state", got, {"visits": 20, "cart": [f"i{n}" for n in range(1, 21)]})
    check("sessions are apart", other.get("/visit", {"item": "x"}).json(), {"visits": 1, "cart": ["x"]})
    before = shopper.cookies["sessionid"].value
    key = shopper.get("/login").json()["key"]
    check("a new key after login", key != before, True)
    check("state survives the new key", shopper.get("/who").json(), {"user": "ada", "visits": 20})
    stale = Client()
    stale.cookies["sessionid"] = before
    check("the old key is worth nothing", stale.get("/who").json()["user"], None)
    time.sleep(2.2)
    check("a session expires", shopper.get("/who").json()["user"], None)
    other.get("/logout")
    check("logout ends a session", other.get("/who").json(), {"user": None, "visits": 0})
    clients = [Client() for _ in range(50)]
    for n, client in enumerate(clients):
        for _ in range(n % 4 + 1):
            client.get("/visit")
    check("many sessions", [c.get("/who").json()["visits"] for c in clients], [n % 4 + 1 for n in range(50)])


for part in (caching, sessions):
    try:
        part()
    except Exception as error:  # a part that breaks off must not hide the other
        check(f"{part.__name__} comes to its end", repr(error), None)
print(f"django {django.get_version()}: {passed} passed, {failed} failed")
sys.exit(failed != 0)
