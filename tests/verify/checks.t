#!/usr/bin/perl
# Each check of loyalty-verify: complete files pass, files that are wrong in
# one thing fail exactly the check that it belongs to, and what is missing is
# named and never passes.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use File::Temp qw(tempdir);
use Test::More;

use Proof;
use Samples;
use Verdict;

my $dir = tempdir(CLEANUP => 1);


# ---- all is well ----

verdict('a raffle', raffle(), {});
verdict('fresh alternates', fresh(), { says => [qr/awarded 5, redrawn 0, /] });
verdict('a wheel', wheel(), { says => [qr/degraded plays: 3 of 200/] });
verdict('a deck', scratch(), {});
verdict('moments', calendar(), { says => [qr/V18 PASS.* awarded [1-9]/] });

verdict('nobody entered', raffle(entries => [], voids => [], dqs => []), {});
verdict('everybody entered wins',
        raffle(entries => [@{ raffle()->{entries} }[0 .. 1]], voids => [],
               dqs => []), { says => [qr/unclaimed 1/] });
verdict('nobody played', wheel(plays => []), {});
verdict('nobody met a moment', calendar(plays => []), {});

# a version's units are placed from the epoch on that it governs, whoever plays

verdict('epochs without a play while versions change',
        calendar(plays => [map { { member => "m$_", key => $_,
                                   t => OPEN + $_ * 1000 } }
                           5, 100, 285 .. 300]),
        { says => [qr/V18 PASS.* awarded 17, /] });


# ---- receipts ----

{
    my $made = raffle();
    my $file = "$dir/receipt";

    verdict('a receipt', $made, {}, '--receipt',
            spew($file, $made->receipt(5)));

    my $text = $made->receipt(5);
    $text =~ s/^(member) .*/$1 member-6/m;
    verdict("somebody else's receipt", $made, { V11 => 'FAIL' },
            '--receipt', spew($file, $text));

    my $other = raffle(hook => { records => sub { $_[0][5]{tickets}++;
                                                  $_[0][5]{t}++ } });
    verdict('a receipt of a record that was changed', $made,
            { V11 => 'FAIL' }, '--receipt', spew($file, $other->receipt(5)));

    $text = $made->receipt(5);
    my $signature = b64('x' x 64);
    $text =~ s/^(signature) .*/$1 $signature/m;
    verdict('a receipt that was not signed', $made, { V02 => 'FAIL' },
            '--receipt', spew($file, $text));

    $text = $made->receipt(5);
    $text =~ s/^signature .*\n//m;
    verdict('a receipt without its signature', $made,
            { V11 => 'INCOMPLETE', says => [qr/no signature/] },
            '--receipt', spew($file, $text));

    $made = scratch();
    my ($won) = grep { $made->{played}[$_]{status} == 1 } 0 .. 79;
    my ($lost) = grep { $made->{played}[$_]{status} == 0 } 0 .. 79;

    verdict('receipts of plays', $made, {},
            '--receipt', spew($file, $made->receipt($won)),
            '--receipt', spew("$file.2", $made->receipt($lost)));
}


# ---- V01: rules, terms, prizes ----

for my $file ('rules-1', 'terms-2', 'prizes-1') {
    verdict("another $file", raffle(changed($file => sub { $_ .= 'x' })),
            { V01 => 'FAIL' });
}

verdict('no terms', raffle(without('terms-1')),
        { V01 => 'INCOMPLETE', says => [qr/terms-1 is missing/] });
verdict('rules that the manifest has not',
        raffle(rules => '', hook => { files => sub {
            $_[0]{'rules-1'} = 'rules' } }), { V01 => 'FAIL' });
verdict('odds over 1',
        wheel(versions => [], prizes => [['a', 1, 2, 3], ['b', 1, 1, 2]],
              plays => []),
        { V01 => 'FAIL', V18 => 'INCOMPLETE' });


# ---- V02: signatures and statements ----

verdict('a head that is not signed by the key',
        wheel(changed(heads => sub { s/(.*)== /$1==/s;
                                     s{\A((?:.*\n){3}.*)(.{8})}{$1AAAAAAA=} })),
        { V02 => 'FAIL', V03 => 'INCOMPLETE' });
verdict('another game than its terms name',
        raffle(terms => lines('timezone UTC;', 'sweepstakes other {', '}')),
        { V02 => 'FAIL', map { sprintf('V%02d', $_) => 'INCOMPLETE' }
          1, 3 .. 19 });
verdict('nothing at all', bless({ files => { x => 'y' } }, 'Raffle'),
        { bare => 1, map { sprintf('V%02d', $_) => 'INCOMPLETE' } 1 .. 19 });


# ---- V03: heads ----

verdict('a head with another root',
        wheel(hook => { head => sub {
            $_[0]{root} = H('x') if $_[0]{size} == 80 } }), { V03 => 'FAIL' });
verdict('a head of more than the log has',
        wheel(hook => { head => sub { $_[0]{size}++ if $_[0]{size} == 200 } }),
        { V03 => 'FAIL' });
verdict('no heads', wheel(without('heads')),
        { V03 => 'INCOMPLETE', says => [qr/the file heads is missing/] });
verdict('no head after the close',
        scratch(hook => { head => sub { $_[0]{t} -= 2000
                                        if $_[0]{t} > OPEN + 125000 } }),
        { V03 => 'INCOMPLETE' });
verdict('gaps between heads are told', scratch(few_heads => 1),
        {});
verdict('a long gap is told',
        wheel(hook => { head => sub { $_[0]{t} += 8000
                                      if $_[0]{size} == 200 } }),
        { says => [qr/1 gaps over 65 s/] });

{
    my $made = wheel();
    my $forged = wheel(hook => { head => sub { $_[0]{root} = H('x') } });
    my $file = spew("$dir/head", $forged->{head_notes}[1]);

    verdict('a head held by a member that the log does not have', $made,
            { V03 => 'FAIL' }, '--saved-note', $file);

    spew($file, $made->{head_notes}[1]);
    verdict('a head held by a member that the log has', $made, {},
            '--saved-note', $file);
}


verdict('a head that goes back in time',
        wheel(hook => { head => sub {
            $_[0]{t} -= 200000 if $_[0]{size} == 200 } }),
        { V03 => 'FAIL', says => [qr/the head of 200 records goes back/] });


# ---- V04: outsiders' times ----

# certificates that are not for stamping, or not at that time

for my $case (
    ['is for servers', usage => 'critical,serverAuth'],
    ['is for stamping and more',
     usage => 'critical,timeStamping,serverAuth'],
    ['is for stamping, and does not insist', usage => 'timeStamping'],
    ['is for certificates', extra => 'keyUsage = critical,keyCertSign'],
    ['is over', until => '20241231000000Z'],
    ['has not begun', from => '20260101000000Z'],
)
{
    my ($what, @other) = @$case;
    my $name = $what =~ s/\W+/-/gr;

    verdict("a certificate that $what",
            raffle(authority => authority($name, @other)),
            { V04 => 'INCOMPLETE', says => [qr/leads to no authority/] });
}


{
    my $made = raffle();
    my $at = "$dir/files";
    my $ca = "$made->{authority}/root.pem";
    my $other = authority('other') . '/root.pem';
    my $saved = spew("$dir/saved", $made->{close_note});

    my %incomplete = (bare => 1, V04 => 'INCOMPLETE');

    verdict('no authority is pinned', $made,
            { %incomplete, says => [qr/no authority is pinned/] },
            '--saved-note', $saved);
    verdict('another authority is pinned', $made,
            { %incomplete, says => [qr/leads to no authority/] },
            '--saved-note', $saved, '--tsa-ca', $other);
    verdict('nobody saved the close note', $made,
            { %incomplete, says => [qr/nothing shows that close 0/] },
            '--tsa-ca', $ca);
    verdict('no tokens', raffle(authority => undef),
            { V04 => 'INCOMPLETE', says => [qr/close 0 has no token/] });

    # the authority's own certificate does for a pin of its own

    my $witness = witness('witness.example/w');
    my $keys = spew("$dir/witness", vkey($witness, 4));
    my $t = round_time(14517013) - 60000;

    my $cosigned = raffle(hook => { files => sub {
        $_[0]{cosignatures} = cosign($witness, 'close', 0, $_[0]{close}, $t);
    } });

    verdict('a witness has cosigned', $cosigned, { bare => 1 },
            '--tsa-ca', $ca, '--witness', $keys);
    verdict('a witness nobody knows', $cosigned, { %incomplete },
            '--tsa-ca', $ca);

    my $late = raffle(hook => { files => sub {
        $_[0]{cosignatures} = cosign($witness, 'close', 0, $_[0]{close},
                                     $t + 60000);
    } });

    verdict('a witness has cosigned too late', $late, { %incomplete },
            '--tsa-ca', $ca, '--witness', $keys);

    my $wrong = raffle(hook => { files => sub {
        $_[0]{cosignatures} = cosign($witness, 'close', 0, $_[0]{manifest},
                                     $t);
    } });

    verdict('a witness has cosigned something else', $wrong,
            { V04 => 'FAIL' }, '--witness', $keys);

    my $two = note($made->{key}, 'close',
                   T('close') . $made->{mh} . u64(32) . u64(90) . H('x')
                   . u64(CLOSE + 1000));

    verdict('the saved close note is another one', $made, { V04 => 'FAIL' },
            '--saved-note', spew("$dir/two", $two));
    verdict('two close notes',
            raffle(changed(close => sub { $_ .= $two })), { V04 => 'FAIL' });
    verdict('a token over something else',
            raffle(changed(timestamps => sub { s/^close 0 .*/
                'close 0 ' . b64(stamp($made->{authority}, 'x', CLOSE + 2000))
                /me })), { V04 => 'FAIL' });
    verdict('a manifest stamped after its predecessor closed',
            raffle(stamped => { manifest => 86400000 }),
            { V04 => 'INCOMPLETE', says => [qr/manifest 2 has a token that/] });
    verdict("an instant win's first manifest stamped after it opened",
            wheel(versions => [], stamped => { manifest => 3600000 }),
            { V04 => 'INCOMPLETE' });
    verdict("nobody saved an instant win's manifests", scratch(),
            { bare => 1, V04 => 'INCOMPLETE' }, '--tsa-ca', $ca,
            '--beacon', scratch()->{beacon}{option});
    verdict('a version without its token',
            wheel(changed(timestamps => sub { s/^manifest 2 .*\n//m })),
            { V04 => 'INCOMPLETE',
              map { $_ => 'INCOMPLETE' } qw(V12 V13 V14 V18) });
}

# a close note whose token came too late is drawn by a later round: LATE

verdict('a late draw', fresh(stamped => { close => 2400000 }, dqs => []),
        { V04 => 'INCOMPLETE', V10 => 'INCOMPLETE', says => [qr/LATE/] });


# ---- V05, V06: the beacon ----

verdict('seed only', raffle(beacon => undef),
        { V04 => 'INCOMPLETE', V05 => 'INCOMPLETE',
          says => [qr/V05 .*seed only/] });
verdict('seed only, an instant win', wheel(beacon => undef,
        plays => [grep { !$_->{degraded} } @{ wheel()->{plays} }]),
        { V05 => 'INCOMPLETE' });
verdict('another chain in beacons',
        raffle(changed(beacons => sub {
            s/^chain .*/'chain ' . 'ab' x 32/me })), { V05 => 'FAIL' });
verdict('a chain that nobody pinned', fresh(),
        { bare => 1, V04 => 'INCOMPLETE', V05 => 'FAIL', V06 => 'FAIL',
          V16 => 'INCOMPLETE' });

{
    my $signature = fresh()->{beacon}{signature};

    verdict('the signature of another round',
            fresh(hook => { signature => sub {
                return $signature->($_[1] + 1) } }), { V06 => 'FAIL' });
    verdict('a round is missing',
            raffle(changed(beacons => sub { s/^14517013.*\n//m })),
            { no_rounds => 1, V06 => 'INCOMPLETE',
              map { $_ => 'INCOMPLETE' } qw(V10 V17 V18) });
}


# ---- V07: the seed ----

verdict('another seed than the one committed to',
        raffle(hook => { seed => sub { H('x') } }), { V07 => 'FAIL' });
verdict('a seed that is withheld', raffle(without('reveal')),
        { V07 => 'FAIL', map { $_ => 'INCOMPLETE' } qw(V10 V17 V18) });
verdict('before the draw', raffle(dqs => [],
                                  without(qw(reveal picks beacons))),
        { no_rounds => 1,
          map { $_ => 'INCOMPLETE' } qw(V06 V07 V10 V17 V18) });


# ---- V08, V09: entries ----

for my $case (
    ['a method that there is none', sub { $_[0][4]{method} = 5 }],
    ['an entry after the close', sub { $_[0][29]{t} = CLOSE }],
    ['an entry before it opens', sub { $_[0][0]{t} = OPEN - 1 }],
    ['a flag that there is none', sub { $_[0][31]{flags} = 3 }],
    ['a void of another method', sub { $_[0][30]{method} ^= 3 }],
    ['a void with a commitment', sub { $_[0][30]{commit} = H('x') }],
    ['a void after the close', sub { $_[0][31]{t} = CLOSE }],
)
{
    my ($what, $change) = @$case;

    verdict($what, raffle(hook => { records => $change }),
            { V08 => 'FAIL' });
}

# with these nobody can say what the draw should have been

for my $case (
    ['a void of half an entry', sub { $_[0][31]{tickets}-- }],
    ['two voids of one entry', sub { $_[0][31] = { %{ $_[0][30] } } }],
    ['a void by somebody else', sub { $_[0][31]{person} = H('x') }],
    ['ranges that overlap', sub { $_[0][4]{first}-- }],
    ['a gap between ranges', sub { $_[0][29]{first}++ }],
    ['an entry without tickets', sub { $_[0][29]{tickets} = 0 }],
)
{
    my ($what, $change) = @$case;

    my $at = raffle(hook => { records => $change })->write("$dir/v08");
    my $got = run_verify($at);

    is($got->{V08}, 'FAIL', "$what: V08");
    is($got->{status}, 1, "$what: exit 1");
}

verdict('another root',
        raffle(hook => { root => sub { H('x') } }), { V09 => 'FAIL' });
verdict('no entries', raffle(without('entries')),
        { map { $_ => 'INCOMPLETE' } qw(V08 V09 V10 V17 V18) });
verdict('no close note', raffle(without('close')),
        { map({ $_ => 'INCOMPLETE' } qw(V08 V09 V10 V17 V18)),
          V04 => 'INCOMPLETE', says => [qr/the file close is missing/] });


# ---- V10, V17, V18: picks, winners, prizes ----

verdict('another ticket',
        raffle(hook => { lines => sub {
            $_[0][1] =~ s/^(pick 1 \d+) (\d+)/"$1 " . ($2 + 1)/e } }),
        { V10 => 'FAIL' });
verdict('one pick too few',
        raffle(hook => { lines => sub { splice @{ $_[0] }, 5, 1 } }),
        { V10 => 'FAIL' });
verdict('another fresh alternate',
        fresh(hook => { lines => sub {
            s/^(fresh 2 \d+ \d+) (\d+)/"$1 " . ($2 + 1)/e for @{ $_[0] } } }),
        { V10 => 'FAIL' });
verdict('another winner',
        raffle(hook => { lines => sub {
            my ($one, $two) = grep { /^winner [01] / } @{ $_[0] };
            my ($who) = $two =~ /^winner 1 1 (.*)/;
            s/^winner 0 0 .*/winner 0 0 $who/ for @{ $_[0] } } }),
        { V17 => 'FAIL' });
verdict('another prize',
        raffle(hook => { lines => sub {
            s/^winner 2 1/winner 2 0/ for @{ $_[0] } } }), { V17 => 'FAIL' });
verdict('claims are told',
        raffle(hook => { lines => sub {
            push @{ $_[0] }, 'claimed 0 ' . (CLOSE + 5),
                 'delivered 0 ' . (CLOSE + 6) } }), {});
verdict('a claim of nothing',
        fresh(hook => { lines => sub {
            push @{ $_[0] }, 'claimed 0 ' . (CLOSE + 5) } }),
        { V17 => 'FAIL' });
verdict('the prize of a dq goes to the next but one',
        raffle(alternates => 3, hook => { lines => sub {
            my ($who) = grep { /^pick 4 / } @{ $_[0] };
            my ($seq, $person) = (split / /, $who)[4, 5];
            $_[0][-1] =~ s/^(winner 1 1) .*/$1 $seq $person/ } }),
        { V17 => 'FAIL' });
verdict('a prize that is neither awarded nor vacant',
        fresh(dqs => [], entries => [@{ fresh()->{entries} }[0 .. 4]],
              voids => [], hook => { lines => sub { pop @{ $_[0] } } }),
        { V18 => 'FAIL' });
verdict('fewer winners than prizes',
        raffle(hook => { winners => sub { $_[0] - 1 } }), { V18 => 'FAIL' });
verdict('no picks', raffle(without('picks')),
        { map({ $_ => 'INCOMPLETE' } qw(V10 V17 V18)) });


# ---- V11 is above; V12: the chain ----

verdict('another c of an epoch',
        wheel(hook => { c => sub { $_[1] == 3 ? H('x') : $_[0] } }),
        { V12 => 'FAIL' });
{
    # a chain of its own, whose links hold, and another anchor

    my ($cid, @c) = wheel(plays => [])->{cid};

    $c[6] = H('another chain');
    $c[$_ - 1] = H(T('chain') . $cid . u32($_) . $c[$_]) for reverse 1 .. 6;

    verdict('another chain than the one of the anchor',
            wheel(hook => { c => sub { $c[$_[1]] } }),
            { V12 => 'FAIL', says => [qr/does not end at its anchor/] });
}

verdict('a c that is withheld',
        wheel(changed(reveal => sub { s/^c 2 4 .*\n//m })),
        { V12 => 'FAIL', V13 => 'INCOMPLETE' });
verdict('a c that is withheld, of moments',
        calendar(changed(reveal => sub { s/^c 2 4 .*\n//m })),
        { V12 => 'FAIL', V14 => 'INCOMPLETE' });

{
    # the evidence is not there yet, and the last head is of the last epoch

    my $running = wheel(
        hook => { files => sub { $_[0]{reveal} =~ s/^c 2 6 .*\n//m },
                  head => sub { $_[0]{t} = OPEN + 305000
                                if $_[0]{t} > OPEN + 305000 } });

    delete $running->{files}{evidence};

    verdict('the last epoch is not revealed yet', $running,
            { V12 => 'PASS', V19 => 'INCOMPLETE' });
}


# ---- V13, V14, V15: plays ----

verdict('another u', wheel(play(50, sub { $_[0]{u} = H('x') })),
        { V13 => 'FAIL' });
verdict('a ctr that is not the least', wheel(play(50, sub {
            $_[0]{ctr} = 1 })), { V13 => 'FAIL' });
verdict('another round',
        wheel(play(50, sub { $_[0]{round}-- })), { V13 => 'FAIL' });
verdict('a random value in a play of moments',
        calendar(play(5, sub { $_[0]{u} = H('x') })), { V13 => 'FAIL' });

for my $case (
    ['a swapped row', sub { $_[0]{tier} ^= 1 }],
    ['another serial', sub { $_[0]{serial}++ }],
    ['a win that is called a loss',
     sub { @{ $_[0] }{qw(status tier serial)} = (0, 0xffffffff, ~0) }],
    ['a win that is called sold out', sub { @{ $_[0] }{qw(status serial)}
                                            = (2, ~0) }],
)
{
    my ($what, $change) = @$case;
    my $n = 0;

    verdict($what, scratch(hook => { play => sub {
                $change->($_[0]) if ($_[0]{status} & 3) == 1 && !$n++ } }),
            { V14 => 'FAIL' });
}

verdict('a play recorded twice',
        wheel(hook => { play => sub { $_[0]{id} = 'x' x 16
                                      if $_[1] == 4 || $_[1] == 9 } }),
        { V14 => 'FAIL' });
verdict('a number of cards that is not what is left',
        scratch(plays => [scratch()->{plays}[0]],
                play(0, sub { $_[0]{n}-- })), { V13 => 'FAIL', V14 => 'FAIL' });
verdict('an idx that was not its turn',
        wheel(play(50, sub { $_[0]{idx}++ })),
        { V13 => 'FAIL', V14 => 'FAIL' });
verdict('units that are not due',
        calendar(hook => { play => sub { $_[0]{n}++ if $_[1] == 59 } }),
        { V14 => 'FAIL' });
verdict('a play after the close',
        scratch(plays => [@{ scratch()->{plays} }[0 .. 5]],
                play(5, sub { $_[0]{t} = OPEN + 125000 })),
        { V14 => 'FAIL' });
verdict('a play that is older than a head without it',
        wheel(hook => { head => sub { $_[0]{t} += 3600000
                                      if $_[0]{size} >= 120 } }),
        { V14 => 'FAIL' });

verdict('degraded plays that are not allowed', wheel(flags => 0),
        { V15 => 'FAIL' });

{
    my $plays = wheel()->{plays};
    my @old = map { { %$_ } } @$plays;
    $old[100]{degraded} = 5;

    verdict('a degraded play by an older round than the log knew',
            wheel(plays => \@old), { V15 => 'FAIL' });
}


# ---- V16: disqualifications ----

verdict('a dq whose token came too late', fresh(stamped => { dq => 600000 }),
        { V16 => 'INCOMPLETE', says => [qr/dq 1 has a token that came too/] });
verdict('a dq that came late and was made again',
        fresh(dqs => [{ t => CLOSE + 86400000, position => 0, late => 1 }]),
        { V16 => 'INCOMPLETE', says => [qr/dq 1 came late/] });
verdict('a dq made again until it was liked',
        fresh(dqs => [{ t => CLOSE + 86400000, position => 0, late => 1 }],
              stamped => { dq => -595000 }),
        { V16 => 'FAIL' });
verdict('nobody saved a dq', fresh(),
        { bare => 1, V16 => 'INCOMPLETE' },
        '--tsa-ca', fresh()->{authority} . '/root.pem',
        '--beacon', fresh()->{beacon}{option},
        '--saved-note', spew("$dir/close", fresh()->{close_note}));
verdict('a dq of a prize that there is none',
        raffle(dqs => [], hook => { files => sub {
            my ($files, $made) = @_;
            $files->{dq} = note($made->{key}, 'dq', T('dq') . $made->{cid}
                . u32(1) . u64(CLOSE + 5000) . u32(3) . u64(0) . Z
                . pack('n', 1) . lp('ops') . Z);
        } }), { V16 => 'FAIL' });
verdict('a dq of somebody else',
        raffle(dqs => [], hook => { files => sub {
            my ($files, $made) = @_;
            $files->{dq} = note($made->{key}, 'dq', T('dq') . $made->{cid}
                . u32(1) . u64(CLOSE + 5000) . u32(0) . u64(0) . Z
                . pack('n', 1) . lp('ops') . Z);
            my $next = $made->{picks}[3];
            $files->{picks} .= $made->winner_line(0, $next) . "\n";
        } }), { V17 => 'FAIL' });
verdict('a dq that nothing has come of yet',
        raffle(dqs => [], hook => { files => sub {
            my ($files, $made) = @_;
            my $one = $made->{picks}[0];
            $files->{dq} = note($made->{key}, 'dq', T('dq') . $made->{cid}
                . u32(1) . u64(CLOSE + 5000) . u32(0) . u64($one->{seq})
                . $one->{person} . pack('n', 1) . lp('ops') . Z);
        } }), { V17 => 'INCOMPLETE', V18 => 'INCOMPLETE' });


# ---- V19: evidence ----

verdict('a hash in the evidence',
        raffle(hook => { evidence => sub { $_[1]{picks} = H('x') } }),
        { V19 => 'FAIL' });
verdict('a file that the evidence does not name',
        raffle(hook => { evidence => sub {
            @{ $_[0] } = grep { $_ ne 'dq' } @{ $_[0] } } }),
        { V19 => 'FAIL' });
verdict('a file that the evidence names and nobody has',
        raffle(hook => { evidence => sub {
            push @{ $_[0] }, 'zoo'; $_[1]{zoo} = H('x') } }),
        { V19 => 'INCOMPLETE', says => [qr/the file zoo is missing/] });

{
    my $made = raffle();
    delete $made->{files}{evidence};
    verdict('no evidence', $made, { V19 => 'INCOMPLETE' });

    # what is appended needs another note; the last one counts

    $made = raffle();
    my $first = $made->{files}{evidence};
    $made->{files}{picks} .= "claimed 0 5\n";
    verdict('a file that has grown', $made, { V19 => 'FAIL' });

    Raffle::evidence($made);
    $made->{files}{evidence} = $first . $made->{files}{evidence};
    verdict('a file that has grown, and its evidence', $made, {});
}

done_testing();
