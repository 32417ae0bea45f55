"""Has the vendor's C library (libyubihsm) sign an SSH certificate.

The yubihsm-shell 2.6.0 of Debian 13 accepts inputs of exactly 260 bytes for
this command, timestamp and signature without any certificate, so it cannot be
asked; the library under it has no such fault.

    judge-ssh-certificate.py URL AUTH-KEY PASSWORD KEY TEMPLATE ALGORITHM < REQUEST > ANSWER

REQUEST is timestamp(4) | timestamp signature(256) | certificate without its
signature; ANSWER is what the device answered. Exit status 1 and the library's
words on standard error when it refuses.
"""
import ctypes
import sys

url, auth_key, password, key, template, algorithm = sys.argv[1:]
library = ctypes.CDLL("libyubihsm.so.2")
library.yh_strerror.restype = ctypes.c_char_p


def check(code):
    if code != 0:
        sys.exit(library.yh_strerror(code).decode())


connector = ctypes.c_void_p()
session = ctypes.c_void_p()
check(library.yh_init())
check(library.yh_init_connector(url.encode(), ctypes.byref(connector)))
check(library.yh_connect(connector, 5))
secret = password.encode()
check(
    library.yh_create_session_derived(
        connector, ctypes.c_uint16(int(auth_key)), secret, ctypes.c_size_t(len(secret)), False, ctypes.byref(session)
    )
)
check(library.yh_authenticate_session(session))
request = sys.stdin.buffer.read()
answer = ctypes.create_string_buffer(4096)
length = ctypes.c_size_t(len(answer))
code = library.yh_util_sign_ssh_certificate(
    session,
    ctypes.c_uint16(int(key)),
    ctypes.c_uint16(int(template)),
    ctypes.c_int(int(algorithm)),
    request,
    ctypes.c_size_t(len(request)),
    answer,
    ctypes.byref(length),
)
library.yh_util_close_session(session)
check(code)
sys.stdout.buffer.write(answer.raw[: length.value])
