#!/usr/bin/perl

# The shop that is there already: pages, sessions, orders.  It stands for
# whatever a shop runs, and knows nothing of what nginx does in front of it.
#
#     backend.pl PORT
#
#     GET  /           what there is to buy
#     POST /login      name=ada: a session.  There are no passwords here
#     POST /checkout   item=beans, quantity=1, order=N, the number that the
#                      page had: sent again, it is the same order
#     GET  /session    for whoever asks on behalf of a session: who it is
#     GET  /headers    a request as it arrives here, for the shop's developers
#
# The answers to /session and /checkout say in headers what many shops log
# anyway: X-Customer, X-Order, X-Total.  All is kept in memory.

use strict;
use warnings;

use IO::Socket::INET;

my %price = (beans => 1200, mug => 950, grinder => 8900, machine => 24900);

my %text = (200 => 'OK', 201 => 'Created', 303 => 'See Other',
            400 => 'Bad Request', 401 => 'Unauthorized', 404 => 'Not Found',
            409 => 'Conflict');

# numbers that no shop before this one has given
my $last = 100 * time;
my (%session, %order);

my %page = (
    'GET /'          => \&front,
    'GET /shop.css'  => \&style,
    'GET /session'   => \&session,
    'GET /headers'   => \&headers,
    'POST /login'    => \&login,
    'POST /checkout' => \&checkout,
);

my $listen = IO::Socket::INET->new(Listen => 128, ReuseAddr => 1,
    LocalAddr => '127.0.0.1', LocalPort => $ARGV[0] // 8082)
    or die "cannot listen: $!\n";

$SIG{PIPE} = 'IGNORE';
$SIG{ALRM} = sub { die "timeout\n" };
$| = 1;

while (1) {
    my $client = $listen->accept or next;

    eval {
        alarm 5;
        serve($client);
    };
    alarm 0;
    print "error: $@" if $@;
}


sub serve {
    my ($client) = @_;
    my ($line, %header) = (scalar <$client>);

    my ($method, $path) = ($line // '') =~ m{^(\w+) (/[^ ?]*)} or return;

    while (defined($line = <$client>) && $line =~ /^([^:\s]+):\s*(.*?)\r?\n/) {
        $header{lc $1} = $2;
    }

    my $body = '';
    my $length = $header{'content-length'} // 0;
    read $client, $body, $length if $length =~ /^\d{1,4}$/;

    my %field = map { /^(\w+)=([\w.-]*)$/ ? ($1, $2) : () } split /&/, $body;
    my ($key) = ($header{cookie} // '') =~ /(?:^|;\s*)session=(\w+)/;

    my $page = $page{"$method $path"};
    my ($status, $content, %more) = $page
        ? $page->(defined $key ? $session{$key} : undef, \%field, \%header)
        : (404, html(undef, '<p>There is nothing here.</p>'));

    print {$client} "HTTP/1.1 $status $text{$status}\r\n",
        (map { "$_: $more{$_}\r\n" } sort keys %more),
        exists $more{'Content-Type'} ? ''
                                     : "Content-Type: text/html\r\n",
        'Content-Length: ', length $content,
        "\r\nConnection: close\r\n\r\n", $content;
    close $client;

    print "$method $path $status\n";
    return;
}


# ---- pages ----

sub front {
    my ($who) = @_;

    # the number of the order that this session would place next
    $who->{next} //= ++$last if $who;

    return (200, html($who, join "\n", '<ul>', map({ product($who, $_) }
        sort { $price{$a} <=> $price{$b} } keys %price), '</ul>'));
}


sub product {
    my ($who, $item) = @_;
    my $price = money($price{$item});

    return "<li><b>$item</b> <span>$price</span></li>" if !$who;

    return <<"END";
<li><b>$item</b> <span>$price</span>
<form method="post" action="/checkout">
<input type="hidden" name="order" value="$who->{next}">
<input type="hidden" name="item" value="$item">
<button>Buy</button></form></li>
END
}


sub login {
    my ($who, $field) = @_;

    return (400, html(undef, '<p>A name, please.</p>'))
        if ($field->{name} // '') !~ /^[\w.-]{1,40}$/;

    open my $random, '<:raw', '/dev/urandom' or die "urandom: $!\n";
    read $random, my $key, 16;
    $key = unpack 'H*', $key;
    $session{$key} = { name => $field->{name} };

    return (303, '', 'Location' => '/', 'Set-Cookie' =>
            "session=$key; Path=/; HttpOnly; SameSite=Lax");
}


sub checkout {
    my ($who, $field) = @_;
    my ($n, $item) = ($field->{order} // '', $field->{item} // '');
    my $quantity = $field->{quantity} // 1;

    return (401, html(undef, '<p>Please sign in.</p>')) if !$who;
    return (400, html($who, '<p>There is no such thing.</p>'))
        if !$price{$item} || $quantity !~ /^[1-9]\d?$/;

    my $order = $order{$n};
    my $status = $order ? 200 : 201;

    if (!$order && defined $who->{next} && $n eq $who->{next}) {
        $order = $order{$n} = { name => $who->{name}, item => $item,
                                total => money($price{$item} * $quantity) };
        delete $who->{next};
    }

    return (409, html($who, '<p>That order is not yours to place.</p>'))
        if !$order || $order->{name} ne $who->{name};

    return ($status, html($who, "<p>Thank you! Order $n, $order->{item}, "
                                . "is on its way: $order->{total}.</p>"),
            'X-Customer' => $who->{name}, 'X-Order' => $n,
            'X-Total' => $order->{total});
}


sub session {
    my ($who) = @_;

    return (401, '') if !$who;
    return (200, '', 'X-Customer' => $who->{name},
            'Cache-Control' => 'no-store');
}


sub headers {
    my ($who, $field, $header) = @_;

    return (200, join('', map { "$_: $header->{$_}\n" } sort keys %$header),
            'Content-Type' => 'text/plain');
}


sub style {
    return (200, <<'END', 'Content-Type' => 'text/css');
body { font: 16px sans-serif; max-width: 40em; margin: 1em auto;
       padding: 0 1em; }
h1 a { color: inherit; text-decoration: none; }
header { display: flex; justify-content: space-between; flex-wrap: wrap;
         align-items: baseline; border-bottom: 1px solid #ccc; }
header form { margin-bottom: 1em; }
ul { padding: 0; }
li { display: flex; gap: 1em; padding: .4em 0; }
li b { width: 6em; }
li span { width: 5em; text-align: right; }
END
}


sub html {
    my ($who, $content) = @_;

    my $hello = $who ? "<p>Hello, $who->{name}.</p>" : <<'END';
<form method="post" action="/login">
<input name="name" placeholder="your name"> <button>Sign in</button></form>
END

    return <<"END";
<!DOCTYPE html>
<html lang="en">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Coffee &amp; Co.</title>
<link rel="stylesheet" href="/shop.css">
<header><h1><a href="/">Coffee &amp; Co.</a></h1>
$hello</header>
$content
END
}


sub money { return sprintf '%d.%02d', int $_[0] / 100, $_[0] % 100 }
