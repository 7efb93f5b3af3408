#!/usr/bin/perl

# loyalty_metrics: the format, what is counted, and what a reload and a
# killed worker do to it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IPC::Open3 ();
use Loyalty::Test;
use Test::More;


my $program = <<'END';
money EUR 2;
wallet points;
earn purchase points 1 per=1.00;
earn purchase points 5;
END

my $club = <<'END';
loyalty_program club {
    redis unix:%%REDIS%%;
    wallet stamps;
}
END

my $t = Loyalty::Test->new(program => $program, http => $club, workers => 2);


sub value {
    my ($name, %labels) = @_;

    my $labels = join ',', map { "$_=\"$labels{$_}\"" }
                 'program', grep { $_ ne 'program' } sort keys %labels;

    return $t->metrics->{"nginx_loyalty_$name\{$labels}"};
}


# labels stand in the order of the code, whatever the test says
sub requests {
    my ($api, $status, $code) = @_;

    return $t->metrics->{'nginx_loyalty_requests_total{program="shop",'
        . "api=\"$api\",status=\"$status\",code=\"$code\"}"};
}


sub seconds {
    my ($function, $what, $le) = @_;

    return $t->metrics->{'nginx_loyalty_redis_operation_duration_seconds_'
        . "$what\{program=\"shop\",function=\"$function\""
        . (defined $le ? ",le=\"$le\"" : '') . '}'};
}


# ---- the format ----

my $r = $t->get('/metrics');

is($r->status, 200, 'metrics');
is($r->header('Content-Type'), 'text/plain; version=0.0.4; charset=utf-8',
   'their type');

is($t->request('HEAD', '/metrics')->header('Content-Length'),
   length $r->body, 'HEAD');

for my $method (qw(POST PUT DELETE)) {
    my $r = $t->request($method, '/metrics');

    is($r->status, 405, $method);
    is($r->header('Allow'), 'GET, HEAD', 'what is allowed');
}


# what a reader of the format relies on: a family is announced once, with
# all its samples behind it, and a series stands there once
sub check_format {
    my ($body, $name) = @_;
    my (%type, %series, $family, @wrong);

    push @wrong, 'no newline at the end' if $body !~ /\n\z/;

    for (split /\n/, $body) {
        if (/^# HELP (\w+) \S/) {
            push @wrong, "twice: $_" if $type{$1};
            $family = $1;

        } elsif (/^# TYPE (\w+) (counter|gauge|histogram)$/) {
            push @wrong, "no help: $_" if $1 ne $family;
            $type{$1} = $2;

        } elsif (/^(\w+)\{((?:\w+="[^"\\\n]*",?)+)\} -?\d+(?:\.\d+)?$/) {
            my ($metric, $labels) = ($1, $2);
            my $base = $metric;

            $base =~ s/_(?:bucket|sum|count)$//
                if ($type{$family} // '') eq 'histogram';

            push @wrong, "outside its family: $_" if $base ne $family;
            push @wrong, "twice: $_" if $series{"$metric $labels"}++;
            push @wrong, "no counter's name: $_"
                if ($type{$base} // '') eq 'counter' && $base !~ /_total$/;

        } else {
            push @wrong, "no line of the format: $_";
        }
    }

    is_deeply(\@wrong, [], $name);

    return;
}


check_format($r->body, 'the format');
ok((grep { /program="club"/ } keys %{$t->metrics}), 'every program is there');


sub promtool {
    my ($body) = @_;

    my $pid = IPC::Open3::open3(my $in, my $out, undef,
                                'promtool', 'check', 'metrics');
    print $in $body;
    close $in;

    my $said = do { local $/; <$out> } // '';
    waitpid $pid, 0;

    return ($? >> 8, $said);
}


SKIP: {
    skip 'promtool is not installed', 2
        if !grep { -x "$_/promtool" } split /:/, $ENV{PATH};

    my ($status, $said) = promtool($r->body);

    is($status, 0, 'promtool agrees');
    is($said, '', 'and has nothing to say');
}


# ---- counting ----

sub purchase {
    my ($member, $id, $amount) = @_;

    return $t->event({ id => "$id", member => $member, type => 'purchase',
                       amount => $amount });
}


is(purchase('anna', $_, '10.00')->status, 200, "purchase $_") for 1 .. 3;
ok(purchase('anna', 3, '10.00')->json->{duplicate}, 'a repeat');
is(purchase('anna', 3, '11.00')->status, 409, 'a conflict');
is($t->event('{')->status, 400, 'no JSON');
is($t->reversal(1, { member => 'anna', id => 'r' })->status, 200,
   'a reversal');
is($t->me('anna')->status, 200, 'me') for 1 .. 2;
is($t->get('/loyalty/me')->status, 401, 'no member');
is($t->history('anna')->status, 200, 'history');

is(value('events_total', program => 'shop'), 3, 'events');
is(value('duplicates_total', program => 'shop'), 1, 'duplicates');
is(value('reversals_total', program => 'shop'), 1, 'reversals');
cmp_ok(value('rules_matched_total', program => 'shop'), '>=', 6, 'rules');

is(requests('event', '2xx', 'ok'), 5, 'requests with success');
is(requests('event', '4xx', 'event_conflict'), 1, 'by code');
is(requests('event', '4xx', 'invalid_json'), 1, 'by another code');
is(requests('member', '2xx', 'ok'), 3, 'by API');
is(requests('member', '4xx', 'no_member'), 1, 'by API and code');
is(requests('member', '4xx', 'invalid_field'), 0, 'what was not is 0');

is(seconds('event', 'count'), 5, 'latency by function: event');
is(seconds('reverse', 'count'), 1, 'reverse');
is(seconds('history', 'count'), 1, 'history');
is(seconds('get', 'count'), 2, 'get');
is(seconds('event', 'bucket', '+Inf'), 5, 'the last bucket has all');
cmp_ok(seconds('event', 'sum'), '>', 0, 'the sum');
cmp_ok(seconds('event', 'bucket', '0.0001'), '<=',
       seconds('event', 'bucket', '2.5'), 'buckets are cumulative');

is(value('events_total', program => 'club'), 0,
   'another program has its own');

cmp_ok(value('redis_connections', program => 'shop', state => 'connected'),
       '>=', 1, 'connections to Redis');
is(value('redis_inflight_operations', program => 'shop'), 0,
   'nothing is in flight');
cmp_ok(value('redis_function_loads_total', program => 'shop'), '>=', 1,
       'the library was loaded');

check_format($t->get('/metrics')->body, 'the format with numbers in it');


# ---- gauges: an operation under way, a worker killed with it ----

# In flight, or not written yet by a worker that has to connect first; its
# greeting counts then, too.
sub under_way {
    my $values = eval { $t->metrics } // return;
    my $sum = 0;

    for my $gauge ('inflight', 'queued') {
        $sum += $values->{"nginx_loyalty_redis_${gauge}_operations"
                          . '{program="shop"}'} // return;
    }

    return $sum;
}


$t->redis_stall;

my $sock = $t->connect;
print $sock "GET /loyalty/me?member=anna HTTP/1.1\r\nHost: a\r\n\r\n";

ok($t->wait_for(sub { (under_way() // 0) >= 1 }),
   'an operation is under way');

$t->allow(qr/exited on signal 9/);
kill 'KILL', $t->workers;

ok($t->wait_for(sub { (under_way() // 1) == 0 }),
   'what a killed worker had does not count any more');
is(value('events_total', program => 'shop'), 3, 'what it counted does');

$t->redis_go;
close $sock;


# ---- reload: numbers stay, programs come and go ----

ok($t->wait_for(sub { $t->me('anna')->status == 200 }), 'at work again');

my $before = value('events_total', program => 'shop');

my $text = $t->read_file('nginx.conf');
(my $other = $text) =~ s/loyalty_program club/loyalty_program circle/;

$t->write_file('nginx.conf', $other);
ok($t->reload(wait => 1), 'reload');

is(value('events_total', program => 'shop'), $before,
   'a program that stays goes on counting');
is(value('events_total', program => 'circle'), 0, 'a new one is there');
is(value('events_total', program => 'club'), undef, 'a removed one is not');

is(purchase('anna', 'after', '1.00')->status, 200, 'a purchase after it');
is(value('events_total', program => 'shop'), $before + 1, 'counts');

$t->write_file('nginx.conf', $text);
ok($t->reload(wait => 1), 'and back');
is(value('events_total', program => 'club'), 0, 'it begins at 0');
is(value('events_total', program => 'shop'), $before + 1, 'the other not');

for (1 .. 3) {
    $t->reload(wait => 1);
}

$t->me("m$_") for 1 .. 20;

ok($t->wait_for(sub {
    value('redis_connections', program => 'shop', state => 'connected') <= 16
}), 'connections of workers that have gone are not counted');

check_format($t->get('/metrics')->body, 'the format at the end');

done_testing();
