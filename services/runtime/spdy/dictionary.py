"""The fixed dictionary of SPDY/3 header blocks (draft-mbelshe-httpbis-spdy-00, 2.6.10.1).

Words with their lengths before them, as in a header block, then text as it stands. Both sides must
have the same bytes: their Adler-32 is sent along and checked by zlib.
"""

import struct

_WORDS = """
options
head
post
put
delete
trace
accept
accept-charset
accept-encoding
accept-language
accept-ranges
age
allow
authorization
cache-control
connection
content-base
content-encoding
content-language
content-length
content-location
content-md5
content-range
content-type
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
location
max-forwards
pragma
proxy-authenticate
proxy-authorization
range
referer
retry-after
server
te
trailer
transfer-encoding
upgrade
user-agent
vary
via
warning
www-authenticate
method
get
status
200 OK
version
HTTP/1.1
url
public
set-cookie
keep-alive
origin
"""

_TEXT = (
    b"10010120120220520630030230330430530630740240540640740840941041141241341441541641"
    b"7502504505203 Non-Authoritative Information204 No Content301 Moved Permanently40"
    b"0 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error"
    b"501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept O"
    b"ct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,imag"
    b"e/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/"
    b"javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1"
    b",utf-,*,enq=0."
)

DICTIONARY = (
    b"".join(struct.pack(">I", len(word)) + word.encode() for word in _WORDS.split("\n")[1:-1])
    + _TEXT
)
