"""Kubernetes' and upstream's function libraries."""

import pytest

from pilothouse.services.machinery.cel import types
from pilothouse.services.machinery.cel.environment import Environment
from pilothouse.services.machinery.cel.errors import EvaluationError
from pilothouse.services.machinery.cel.libraries.authorization import Authorizer, Decision
from pilothouse.services.machinery.cel.program import compile_expression
from pilothouse.services.machinery.cel.schema import declare

ENVIRONMENT = Environment({"authorizer": declare(types.AUTHORIZER)})


def value(source, **bindings):
    return compile_expression(source, ENVIRONMENT, None).evaluate(bindings)[0]


TRUE = [
    "[1, 2, 2].isSorted() && ![2, 1].isSorted() && [1, 2].sum() == 3 && [1.5].sum() == 1.5",
    "[duration('1m'), duration('1s')].sum() == duration('61s') && dyn([]).size() == 0",
    "[3, 1].min() == 1 && ['a', 'b'].max() == 'b'",
    "[1, 2, 1].indexOf(1) == 0 && [1, 2, 1].lastIndexOf(1) == 2 && [1].indexOf(5) == -1",
    "[1, 2, 3].slice(1, 3) == [2, 3] && [[1], [2]].flatten() == [1, 2]",
    "[2, 1].sort() == [1, 2] && [1, 1, 2].distinct() == [1, 2] && [1, 2].reverse() == [2, 1]",
    "['bb', 'a'].sortBy(x, x.size()) == ['a', 'bb'] && lists.range(3) == [0, 1, 2]",
    "[1, 2].first().value() == 1 && [].last() == optional.none()",
    "sets.contains([1, 2], [1])",
    "sets.equivalent([1, 2], [2, 1, 1])",
    "!sets.intersects([1], [2])",
    "'abc 123'.find('[0-9]+') == '123' && 'a1b2'.findAll('[0-9]') == ['1', '2']",
    "'a1b2c3'.findAll('[0-9]', 2) == ['1', '2'] && 'abc'.find('x') == ''",
    "'tacocat'.charAt(3) == 'o' && 'tacocat'.indexOf('a', 3) == 5",
    "'tacocat'.lastIndexOf('a') == 5 && 'tacocat'.lastIndexOf('a', 4) == 1",
    "'a,b,c'.split(',') == ['a', 'b', 'c'] && 'a,b,c'.split(',', 2) == ['a', 'b,c']",
    "'abc'.split('') == ['a', 'b', 'c'] && ['a', 'b'].join('-') == 'a-b' && ['a'].join() == 'a'",
    "'hello'.substring(1, 3) == 'el' && ' \\u2003a '.trim() == 'a'",
    "'\u00c9a'.upperAscii() == '\u00c9A' && 'ABC'.lowerAscii() == 'abc'",
    "'aaa'.replace('a', 'b', 2) == 'bba' && strings.quote('a\\n\"') == '\"a\\\\n\\\\\"\"'",
    "'%s %d %x %b %o'.format(['a', 5, 255, 5, 8]) == 'a 5 ff 101 10'",
    "'%e'.format([1000.0]) == '1.000000\u00d710\u2070\u00b3'",
    "'%s'.format([[1, 2]]) == '[1, 2]' && '%s'.format([{'a': true}]) == '{\"a\":true}'",
    "url('https://user@h.example:80/a%20b?x=1&x=2#f').getHost() == 'h.example:80'",
    "url('https://h:80/a%20b?x=1&x=2').getEscapedPath() == '/a%20b'",
    "isURL('/path')",
    "!isURL('x')",
    "url('https://h:80/').getPort() == '80' && url('https://[::1]:80/').getHostname() == '::1'",
    "url('https://h/?x=1&x=2').getQuery() == {'x': ['1', '2']} && url('/a').getScheme() == ''",
    "quantity('1Gi').isGreaterThan(quantity('1G')) && isQuantity('20Mi') && !isQuantity('20Zz')",
    "quantity('50k').add(quantity('20k')) == quantity('70k')",
    "quantity('50k').sub(20000).asInteger() == 30000",
    "sign(quantity('-1')) == -1",
    "!quantity('1.5').isInteger()",
    "quantity('1.5').asApproximateFloat() == 1.5",
    "quantity('200M').compareTo(quantity('0.2G')) == 0",
    "semver('1.2.3').major() == 1 && semver('1.2.3-rc.1').isLessThan(semver('1.2.3'))",
    "isSemver('1.0.0') && !isSemver('v1.0') && semver('v01.1', true) == semver('1.1.0')",
    "semver('1.0.0-alpha.2').compareTo(semver('1.0.0-alpha.10')) == -1",
    "isIP('10.0.0.1') && !isIP('10.0.0.01') && !isIP('::ffff:1.2.3.4') && ip('::1').isLoopback()",
    "ip('127.0.0.1').family() == 4 && ip.isCanonical('::1') && !ip.isCanonical('0::1')",
    "ip('224.0.0.1').isLinkLocalMulticast() && ip('fe80::1').isLinkLocalUnicast()",
    "ip('8.8.8.8').isGlobalUnicast()",
    "ip('0.0.0.0').isUnspecified()",
    "string(ip('::1')) == '::1'",
    "cidr('10.0.0.0/8').containsIP('10.1.1.1') && cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')",
    "!cidr('10.0.0.0/16').containsCIDR(cidr('10.0.0.0/8'))",
    "cidr('10.1.2.3/8').ip() == ip('10.1.2.3')",
    "cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8') && cidr('::/0').prefixLength() == 0",
    "isCIDR('10.0.0.0/8') && !isCIDR('10.0.0.0/33') && string(cidr('10.0.0.0/8')) == '10.0.0.0/8'",
    "!format.dns1123Label().validate('my-name').hasValue()",
    "format.dns1123Label().validate('A').hasValue()",
    "format.named('uuid').hasValue() && !format.named('nope').hasValue()",
    "!format.dns1123LabelPrefix().validate('name-').hasValue()",
    "format.datetime().validate('nope').value() == ['invalid datetime']",
    "jsonpatch.escapeKey('a/b~c') == 'a~1b~0c'",
]


@pytest.mark.parametrize("source", TRUE)
def test_is_true(source):
    assert value(source) is True


@pytest.mark.parametrize(
    ("source", "match"),
    [
        ("'abc'.substring(2, 1)", "invalid substring range. start: 2, end: 1"),
        ("'abc'.charAt(5)", "index out of range: 5"),
        ("[1].slice(0, 2)", "cannot slice"),
        ("lists.range(1).map(x, 1).filter(x, x > 1).min()", "min called on empty list"),
        ("quantity('x')", "quantities must match"),
        ("quantity('1.5').asInteger()", "cannot convert value to integer"),
        ("ip('300.0.0.1')", "unable to parse IP"),
        ("cidr('10.0.0.0')", "parse error"),
        ("url('nope')", "invalid URI for request"),
        ("semver('1')", "Patch"),
        ("'%d'.format(['a'])", "decimal clause"),
        ("'%s %s'.format(['a'])", "out of range"),
    ],
)
def test_has_no_value(source, match):
    with pytest.raises(EvaluationError, match=match):
        value(source)


def test_the_authorizer_is_asked():
    asked = []

    def decide(request):
        asked.append(request)
        return Decision(request.verb == "create", "because")

    check = "authorizer.group('apps').resource('deployments').namespace('n').name('d')"
    assert value(f"{check}.check('create').allowed()", authorizer=Authorizer(decide)) is True
    assert value(f"{check}.check('get').reason()", authorizer=Authorizer(decide)) == "because"
    assert (
        value("authorizer.path('/healthz').check('get').errored()", authorizer=Authorizer(decide))
        is False
    )
    account = "authorizer.serviceAccount('ns', 'sa').group('').resource('pods').subresource('log')"
    assert value(f"{account}.check('get').allowed()", authorizer=Authorizer(decide)) is False
    first, _, path, last = asked
    assert (first.group, first.resource, first.namespace, first.name) == (
        "apps",
        "deployments",
        "n",
        "d",
    )
    assert path.path == "/healthz"
    assert (last.service_account, last.subresource) == (("ns", "sa"), "log")


def test_only_two_questions_fit_a_budget():
    check = "authorizer.path('/a').check('get').allowed()"
    program = compile_expression(f"{check} && {check}", ENVIRONMENT)
    assert program.evaluate({"authorizer": Authorizer(lambda r: Decision(True))})[1] > 700_000
