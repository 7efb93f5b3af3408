#!/usr/bin/perl
# The page that verifies draws, in a browser: from a disk, with files that
# somebody chooses, and from a server with ?src=.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Cwd qw(abs_path);
use File::Temp qw(tempdir);
use IO::Handle;
use IO::Socket::INET;
use IPC::Open2 qw(open2);
use JSON::PP qw(decode_json encode_json);
use Test::More;

use Proof;
use Samples;

my $build = $ENV{LOYALTY_BUILD} || 'build';
my ($chromium) = grep { -x } map { "/usr/bin/$_" } qw(chromium
                                                      chromium-browser);

plan skip_all => 'there is no Chromium' if !$chromium;
plan skip_all => 'the page has not been built (make web)'
    if !-f "$build/verify.html";

my $page = abs_path("$build/verify.html");
my $dir = tempdir(CLEANUP => 1);
my ($in, $out, $pid);


sub browse {
    my ($url) = @_;

    $pid = open2($out, $in, 'node', "$FindBin::Bin/browser.mjs", $chromium,
                 $url);
    return;
}


# a step, and the value of its expression

sub step {
    my (%step) = @_;

    print {$in} encode_json(\%step), "\n";
    $in->flush;

    return if !$step{run};

    my $line = <$out> // die "the browser has gone\n";

    return JSON::PP->new->allow_nonref->decode($line);
}


sub leave {
    close $in;
    waitpid $pid, 0;
    is($?, 0, 'the browser had nothing to complain of');

    return;
}


sub chosen {
    my ($made, $name, %more) = @_;

    my $at = $made->write("$dir/$name");

    return { '#files' => [glob "$at/*"], %more };
}


my $verdict = 'document.body.dataset.verdict';
my $checks = 'Object.fromEntries([...document.querySelectorAll(".checks li")]'
           . '.map((li) => [li.id, li.querySelector(".pill").textContent]))';


# ---- from a disk ----

my $made = raffle();
my $ca = "$made->{authority}/root.pem";
my $saved = spew("$dir/saved", $made->{close_note});
my $receipt = spew("$dir/receipt", $made->receipt(5));

browse("file://$page");

is(step(run => '[...document.querySelectorAll("input")]'
             . '.filter((i) => !i.labels?.length).length'), 0,
   'every input has a label');

step(files => chosen($made, 'raffle'));
is(step(run => $verdict), 'Incomplete', 'without a certificate');
like(step(run => 'document.getElementById("V04").innerText'),
     qr/No authority is pinned for the token/, 'the page says why');

step(files => { '#ca' => [$ca], '#saved' => [$saved],
                '#receipts' => [$receipt] });
is(step(run => $verdict), 'Pass', 'with it, a saved note and a receipt');
is_deeply([grep { $_ ne 'Pass' } values %{ step(run => $checks) }], [],
          'every check that is shown is a pass');
is(step(run => 'document.getElementById("word").innerText'), 'Pass',
   'the verdict is a word');

my @persons = map { unpack 'H*', $_->{person} } @{ $made->{picks} }[0, 3, 2];

is_deeply(step(run => '[...document.querySelectorAll("td code")]'
                    . '.map((c) => c.title)'), \@persons,
          'the winners are the ones that were drawn');

is(step(run => 'performance.getEntriesByType("resource")'
             . '.filter((r) => !r.name.startsWith("blob:")).length'), 0,
   'nothing was asked of any server');

# one byte of an entry

my $files = chosen($made, 'raffle');
my $entries = slurp("$dir/raffle/entries");

substr $entries, 500, 1, chr(1 + ord substr $entries, 500, 1);
spew("$dir/raffle/entries", $entries);
step(files => $files);
is(step(run => $verdict), 'Fail', 'a byte of the entries is another');
is(step(run => $checks)->{V09}, 'Fail', 'the check says so');

# what is dropped sorts itself: all at once by one input

step(run => 'document.getElementById("again").click()');
is(step(run => '[...document.querySelectorAll("#chips li")].length'), 0,
   'everything is gone');
step(files => { '#files' => [@{ chosen($made, 'raffle')->{'#files'} }, $ca,
                             $saved, $receipt] });
is(step(run => $verdict), 'Pass', 'files are told apart by what they say');

leave();


# ---- an instant win, by a beacon of its own ----

SKIP: {
    skip 'without blst there are no rounds', 3 if !has_blst();

    $made = wheel();
    spew("$dir/saved", join '', @{ $made->{manifest_notes} });

    browse("file://$page");
    step(run => 'document.getElementById("chain").value = '
              . encode_json([$made->{beacon}{option}]) . '[0]');
    step(files => chosen($made, 'wheel', '#ca' => [$ca],
                         '#saved' => [$saved]));
    is(step(run => $verdict), 'Pass', 'an instant win');
    like(step(run => 'document.getElementById("prizes").innerText'),
         qr/coupon\s+1 in 6\s+unlimited\s+\d+/, 'its prizes are told');
    leave();
}


# ---- from a server ----

my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 16,
                                   ReuseAddr => 1)
    or die "cannot listen: $!";
my $port = $server->sockport;

raffle()->write("$dir/raffle");
spew("$dir/games", lines('wheel ' . 'ab' x 16 . ' instant_win open',
                         'spring ' . 'c1d0' x 8 . ' sweepstakes drawn'));

my $child = fork // die "fork: $!";

if (!$child) {
    serve($server);
    exit 0;
}

my $cid = 'c1d0' x 8;

browse("http://127.0.0.1:$port/verify.html?src=/fair/spring/$cid");
step(files => { '#ca' => [$ca] });
is(step(run => $verdict), 'Incomplete', 'files by ?src=');
is(step(run => '[...document.querySelectorAll("#chips li")].length'),
   scalar(() = glob "$dir/raffle/*"), 'all of them are there');
leave();

# what the server has is offered; the page beside them looks for it

browse("http://127.0.0.1:$port/fair/verify.html");
my $draws = '[...document.querySelectorAll(".draw")].map((b) => b.innerText)';
is_deeply(step(run => "new Promise((done) => { const look = () => { const d = "
                    . "$draws; if (d.length) done(d); else setTimeout(look, 50)"
                    . "}; look(); })"),
          ["spring\nsweepstakes, drawn", "wheel\ninstant win, running"],
          'draws are listed, the newest first');
step(run => 'document.querySelector(".draw").click()');
step(files => { '#ca' => [$ca] });
is(step(run => $verdict), 'Incomplete', 'one of them is loaded');
is(step(run => 'location.search'), "?src=/fair/spring/$cid/",
   'the address says which');
is(step(run => '[...document.querySelectorAll("#chips li")].length'),
   scalar(() = glob "$dir/raffle/*"), 'with all of its files');
spew("$dir/raffle/log", 'x');
step(run => 'document.querySelector("#ask button").click()');
step(files => {});
is(step(run => $verdict), 'Fail', 'a file that grew meanwhile, perhaps');
is(step(run => 'document.getElementById("again-first").checkVisibility()'), 1,
   'which is told');
unlink "$dir/raffle/log";
step(run => 'document.getElementById("where").value = "/nowhere"');
step(run => 'document.querySelector("#ask button").click()');
step(files => {});
like(step(run => 'document.getElementById("trouble").innerText'),
     qr{There is no manifest at /nowhere/}, 'an address where nothing is');
leave();

browse("http://127.0.0.1:$port/verify.html?src=https://example.com/x/");
step(files => {});
is(step(run => $verdict), 'trouble', 'another server is not asked');
leave();

kill 'KILL', $child;
waitpid $child, 0;

done_testing();


# one request a connection, of the page or of a file

sub serve {
    my ($server) = @_;

    while (my $client = $server->accept) {
        my ($path) = (<$client> // '') =~ m{^GET (/\S*)};

        while (my $line = <$client>) {
            last if $line =~ /^\r?$/;
        }

        my $file = !defined $path ? ''
                 : $path =~ m{^(?:/fair)?/verify\.html} ? $page
                 : $path =~ m{^/fair/games$} ? "$dir/games"
                 : $path =~ m{^/fair/spring/\w{32}/([\w-]+)$}
                     ? "$dir/raffle/$1"
                 : '';
        my $data = -f $file ? slurp($file) : undef;

        print {$client} defined $data
            ? "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
              . 'Content-Length: ' . length($data)
              . "\r\nConnection: close\r\n\r\n$data"
            : "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n"
              . "Connection: close\r\n\r\n";
        close $client;
    }

    return;
}
