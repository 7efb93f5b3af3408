#!/usr/bin/perl

# What nginx -t says of loyalty_observe and loyalty_ring.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Loyalty::Test;
use Test::More;

our $program = <<'END';
loyalty_program shop { redis 127.0.0.1:1; wallet points; }
loyalty_program club { redis 127.0.0.1:1; wallet points; money EUR 0; }
END


# the line of error is that of the first loyalty_observe or loyalty_ring
sub check {
    my ($location, $http, $server) = @_;

    return Loyalty::Test->check(conf => <<END);
load_module %%MODULE%%;
pid nginx.pid;
events { }
http {
    access_log off;
    @{[ $http // '' ]}
    server {
        listen 127.0.0.1:%%PORT%%;
        @{[ $server // '' ]}
        location / {
            $location
        }
    }
    $program
}
END
}


sub good {
    my ($name, @conf) = @_;
    my ($ok, $output) = check(@conf);

    ok($ok, $name) or diag($output);
    return;
}


sub bad {
    my ($name, $want, @conf) = @_;
    my ($ok, $output) = check(@conf);

    ok(!$ok, "$name is refused");
    like($output, $want, 'and it is said why');
    like($output, qr/\[emerg\].* in \S+nginx\.conf:\d+$/m, 'and where');
    return;
}

my $names = 'member=$http_m id=$http_i';

good('the least', "loyalty_observe shop visit $names;");
good('everything', <<'END');
loyalty_observe shop purchase member=$upstream_http_x_customer
    id=order-${upstream_http_x_order} amount=$upstream_http_x_total
    quantity=$arg_n channel=web partner=$arg_p data.store=17 data.q=$arg_q
    if_status=200,201,3xx if=$http_x_observe;
END
good('several', <<'END');
loyalty_observe shop purchase member=$http_m id=$http_i;
loyalty_observe shop visit member=$http_m id=visit-$request_id;
loyalty_observe club purchase member=$http_m id=$http_i;
END
good('the same id under conditions', <<'END');
loyalty_observe shop purchase member=$http_m id=$http_i if=$arg_a;
loyalty_observe shop gift member=$http_m id=$http_i if=$arg_b;
END
good('the same id for other statuses', <<'END');
loyalty_observe shop purchase member=$http_m id=$http_i if_status=200;
loyalty_observe shop gift member=$http_m id=$http_i if_status=201;
END
good('off', 'loyalty_observe off;',
     'loyalty_observe shop visit member=$http_m id=$http_i;');
good('in a server and in an if', <<'END', '', <<'END2');
if ($arg_x) { loyalty_observe shop b member=$http_m id=b-$http_i; }
limit_except GET { loyalty_observe off; }
END
loyalty_observe shop a member=$http_m id=$http_i;
END2
good('captures', 'if ($uri ~ "^/(.)(?<rest>.*)") '
     . '{ loyalty_observe shop b member=$1 id=$rest-$1x; }');
good('a ring', "loyalty_observe shop visit $names;",
     'loyalty_ring zone=seen:1m;');
good('constant amounts', "loyalty_observe shop v $names amount=0.50 "
     . 'quantity=3; loyalty_observe club v member=$http_m id=$http_i '
     . 'amount=5;');
good('a map is a variable', 'loyalty_observe shop v member=$who id=$http_i;',
     'map $http_m $who { default $http_m; "x" ""; }');

bad('no argument but the program', qr/invalid number of arguments/,
    'loyalty_observe shop;');
bad('an unknown program', qr/unknown program "shup" in "loyalty_observe"/,
    "loyalty_observe shup visit $names;");
bad('a bad name of a program', qr/invalid program name "-"/,
    "loyalty_observe - visit $names;");
bad('a bad type', qr/invalid event type "\$arg_t"/,
    "loyalty_observe shop \$arg_t $names;");
bad('no member', qr/"loyalty_observe" needs "member="/,
    'loyalty_observe shop visit id=$http_i;');
bad('no id', qr/"loyalty_observe" needs "id="/,
    'loyalty_observe shop visit member=$http_m;');
bad('one member for all', qr/"member=ada" is the same in every request/,
    'loyalty_observe shop visit member=ada id=$http_i;');
bad('one id for all', qr/"id=1" is the same in every request/,
    'loyalty_observe shop visit member=$http_m id=1;');
bad('an empty value', qr/"amount=".*a value, such as/,
    "loyalty_observe shop visit $names amount=;");
bad('an unknown parameter', qr/invalid parameter "sum=1": member=, id=,/,
    "loyalty_observe shop visit $names sum=1;");
bad('a parameter twice', qr/duplicate parameter "id=/,
    "loyalty_observe shop visit $names id=\$arg_i;");
bad('if_status twice', qr/duplicate parameter "if_status=2xx"/,
    "loyalty_observe shop visit $names if_status=200 if_status=2xx;");
bad('a field twice', qr/duplicate parameter "data.a=2"/,
    "loyalty_observe shop visit $names data.a=1 data.a=2;");
bad('a field without a name', qr/invalid parameter "data.=1"/,
    "loyalty_observe shop visit $names data.=1;");
bad('a field without a value', qr/invalid parameter "data.a"/,
    "loyalty_observe shop visit $names data.a;");
bad('a long name of a field', qr/invalid parameter "data.a+=/,
    "loyalty_observe shop visit $names data." . 'a' x 129 . '=1;');
bad('too many fields', qr/too many fields of data/,
    "loyalty_observe shop visit $names "
    . join(' ', map { "data.f$_=1" } 1 .. 33) . ';');
bad("a status \"$_\"", qr/invalid parameter "if_status=\Q$_\E"/,
    "loyalty_observe shop visit $names \"if_status=$_\";")
    for '20', '600', '099', '2x', '2xx,', '200;201', '200 ', '2xx;3xx', 'any',
        '2000', ',200';
bad('an amount that is none', qr/invalid parameter "amount=0.505"/,
    "loyalty_observe shop visit $names amount=0.505;");
bad('an amount with decimals where there are none',
    qr/invalid parameter "amount=5.00".* at most 0/,
    "loyalty_observe club visit $names amount=5.00;");
bad('a quantity that is none', qr/invalid parameter "quantity=$_"/,
    "loyalty_observe shop visit $names quantity=$_;") for '0', '1.5', '-1';
bad('an unknown variable', qr/unknown variable "\$nothing" in/,
    'loyalty_observe shop visit member=$http_m id=$http_i-$nothing;');
bad('an unknown variable in braces', qr/unknown variable "\$no_1" in/,
    "loyalty_observe shop visit $names data.x=a\${no_1}b;");
bad('an unknown variable in if=', qr/unknown variable "\$nothing" in/,
    "loyalty_observe shop visit $names if=\$nothing;");
bad('the same id twice', qr/"id=\$http_i" is that of .* in line \d+, too/,
    "loyalty_observe shop visit $names; loyalty_observe shop buy $names;");
bad('off and more', qr/cannot be used together with "off"/,
    "loyalty_observe off; loyalty_observe shop visit $names;");
bad('more and off', qr/is duplicate/,
    "loyalty_observe shop visit $names; loyalty_observe off;");
bad('off twice', qr/is duplicate/, 'loyalty_observe off; loyalty_observe off;');

bad("a ring \"$_\"", qr/invalid parameter "\Q$_\E".*zone=NAME:SIZE/, '',
    "loyalty_ring $_;")
    for 'ring:8m', 'zone=ring', 'zone=:8m', 'zone=ring:', 'zone=ring:x';
bad('a small ring', qr/too small a ring/, '', 'loyalty_ring zone=ring:63k;');
bad('two rings', qr/is duplicate/, '',
    'loyalty_ring zone=a:1m; loyalty_ring zone=a:1m;');

good('a spool', "loyalty_observe shop visit $names;",
     'loyalty_spool path=spool max=1g sync=on;');
good('a spool with a slash', '', 'loyalty_spool max=64k path=spool/;');
bad("a spool of \"$_\"", qr/"loyalty_spool" needs "path=" and "max="/, '',
    "loyalty_spool $_ sync=on;") for 'path=spool', 'max=1g';
bad("a spool of \"$_\"", qr/invalid parameter "\Q$_\E".*a size of at least/,
    '', "loyalty_spool path=spool $_;")
    for 'max=63k', 'max=', 'max=x', 'max=-1', 'max=0';
bad("a spool with \"$_\"", qr/invalid parameter "\Q$_\E".*path=DIRECTORY, max/,
    '', "loyalty_spool path=spool max=1g $_;")
    for 'sync=maybe', 'size=1g', 'path=b', 'max=2g';
bad('a spool without a name', qr/"path=": a directory is expected/, '',
    'loyalty_spool path= max=1g;');
bad('a spool that is too deep', qr/too long a path of the spool/, '',
    'loyalty_spool path=/' . 'x' x 4000 . ' max=1g;');
bad('two spools', qr/is duplicate/, '',
    'loyalty_spool path=a max=1g; loyalty_spool path=b max=1g;');

# what nothing listens to
{
    local $program = 'loyalty_program shop { redis 127.0.0.1:1; wallet points;
        earn visit points 1;
        challenge c { on purchase; goal 1; opens_on offer; window 1d; }
        streak s { on review; every day; } }';

    for my $type (qw(visit purchase offer review)) {
        my ($ok, $out) = check("loyalty_observe shop $type $names;");
        ok($ok && $out !~ /warn/, "a rule listens to $type") or diag($out);
    }

    my ($ok, $out) = check("loyalty_observe shop purchsae $names;");
    ok($ok, 'no rule need listen');
    like($out, qr/\[warn\].*no rule of loyalty_program "shop" listens to (?#
        )"purchsae", which is observed in \S+nginx.conf:\d+$/m,
        'but that is told');
}

# many $variables in the rules
{
    local $program = 'loyalty_program shop { redis 127.0.0.1:1; wallet p; '
        . join(' ', map { "earn visit p 1 match \$http_h$_ = 1;" } 1 .. 33)
        . ' }';

    bad('more variables than fit', qr/too many variables in the rules for/,
        "loyalty_observe shop visit $names;");
    good('unless they are of another event',
         "loyalty_observe shop purchase $names;");
}

done_testing();
