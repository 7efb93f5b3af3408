#!/usr/bin/perl

# The tests of draws can fail: each of these changes to a copy of the
# arithmetic makes it unfair or different in one place, and must turn tests
# red.  Those of one kind, an outcome that is no longer as likely as it
# should be, must be seen by the statistics alone.

use strict;
use warnings;

use File::Path qw(make_path);
use File::Temp ();
use FindBin;
use Test::More;

my $root = "$FindBin::Bin/../..";
my $cc = $ENV{CC} // 'cc';
my @cflags = qw(-std=gnu11 -O1 -w);
my @libs = qw(-lcmocka -ljansson -lcrypto -lm);
my @files = qw(chain draw hash io manifest merkle moments note record sample
               statement winners);
my @programs = qw(sweepstakes plays draw chain outcomes);

# what, file of src/core, from, to, the test programs that must fail

my @mutants = (
    ['modulo bias: pick() takes every number',
     'sample', 'word <= UINT64_MAX - over', '1', qw(draw outcomes)],
    ['modulo bias: pick48() takes every word',
     'sample', 'word < limit', '1', qw(draw outcomes)],

    ['reused counter: pick() hashes no attempt',
     'sample', 'loyalty_sha_u32(&s, attempt)', 'loyalty_sha_u32(&s, 0)',
     qw(draw sweepstakes outcomes)],
    ['reused counter: pick() hashes no position',
     'sample', 'loyalty_sha_u32(&prefix, p)', 'loyalty_sha_u32(&prefix, 0)',
     qw(sweepstakes outcomes)],
    ['reused counter: u forgets idx',
     'chain', 'loyalty_put_u32(p + LOYALTY_HASH, idx)',
     'loyalty_put_u32(p + LOYALTY_HASH, 0)', qw(plays outcomes)],
    ['reused counter: u forgets ctr',
     'chain', 'loyalty_put_u32(p, ctr)', 'loyalty_put_u32(p, 0)',
     qw(chain outcomes)],
    ['reused counter: u forgets the round',
     'chain', 'loyalty_put_u64(p, round)', 'loyalty_put_u64(p, 0)',
     qw(chain plays)],
    ['reused counter: a link of the chain hashes no number',
     'chain', 'loyalty_sha_u32(&s, i)', 'loyalty_sha_u32(&s, 0)',
     qw(plays)],
    ['reused counter: a place that is drawn decides the offset, too',
     'moments', '"offset", m->unit', '"moment", m->unit', qw(plays chain)],

    ['off by one: pick() one short of its range',
     'sample', '*x = word % n', '*x = word % (n - (n > 1))',
     qw(draw sweepstakes plays outcomes)],
    ['off by one: pick() one over its range',
     'sample', '*x = word % n', '*x = word % (n + 1)',
     qw(draw sweepstakes plays outcomes)],
    ['off by one: pick48() one short of its range',
     'sample', '*r = word % n', '*r = word % (n - (n > 1))',
     qw(draw plays outcomes)],
    ['off by one: pick48() from 1',
     'sample', '*r = word % n', '*r = word % n + 1',
     qw(draw plays outcomes)],
    ['off by one: a row has one number more',
     'sample', 'if (r < weights[i])', 'if (r <= weights[i])',
     qw(draw plays outcomes)],
    ['off by one: the epochs that are left',
     'moments', 'epochs->epochs - e + 1', 'epochs->epochs - e + 2',
     qw(plays chain outcomes)],
    ['off by one: the millisecond of a moment',
     'moments', 'm->at[m->unit] = m->start + x',
     'm->at[m->unit] = m->start + x + 1', qw(plays chain)],
    ['off by one: the position that is picked',
     'winners', 'w->tag, w->position, w->tickets',
     'w->tag, w->position + 1, w->tickets', qw(sweepstakes)],
    ['off by one: the round of a play',
     'draw', 'loyalty_round_at(t - LOYALTY_PLAY_BACK_MS)',
     'loyalty_round_at(t - LOYALTY_PLAY_BACK_MS) - 1', qw(plays draw)],

    ['swapped tier: the table from its other end',
     'sample', 'r < weights[i]', 'r < weights[count - 1 - i]',
     qw(draw plays outcomes)],
    ['swapped tier: a row below',
     'sample', 'return i;', 'return (i + 1) % count;',
     qw(draw plays outcomes)],
    ['swapped tier: odds of 2/3 weigh as 1/3',
     'sample', 'weights[i] = num * (common / den)',
     'weights[i] = common / den', qw(draw)],
    ['swapped tier: first and second change places',
     'sample', 'r -= weights[i];', 'r = (i == 0) ? r : r - weights[i];',
     qw(draw plays outcomes)],
    ['swapped tier: the record says the next one',
     'record', 'loyalty_io_u32(io, &rec->tier)',
     'rec->tier ^= 1, loyalty_io_u32(io, &rec->tier), rec->tier ^= 1',
     qw(plays)],

    ['the same person twice',
     'winners', 'voided || *loyalty_winners_place(w, person) != 0',
     'voided', qw(sweepstakes draw outcomes)],
    ['a voided ticket wins',
     'winners', 'voided || *loyalty', '*loyalty',
     qw(sweepstakes draw outcomes)],
);

my $dir = File::Temp->newdir;
my (%objects, %mains);

for my $name (@files) {
    $objects{$name} = "$dir/$name.o";
    compile("$root/src/core/loyalty_$name.c", $objects{$name})
        or BAIL_OUT("loyalty_$name.c does not compile");
}

for my $name (@programs) {
    $mains{$name} = "$dir/test_$name.o";
    compile("$root/tests/unit/test_$name.c", $mains{$name})
        or BAIL_OUT("test_$name.c does not compile");
}

# the outcome must not depend on where others' vectors lie
chdir $dir or BAIL_OUT("cannot enter $dir: $!");
delete $ENV{LOYALTY_VECTORS};
$ENV{CMOCKA_MESSAGE_OUTPUT} = 'STDOUT';

for my $name (@programs) {
    is(run_with($name, %objects), 0, "unchanged: test_$name passes");
}

for my $mutant (@mutants) {
    my ($what, $file, $from, $to, @red) = @$mutant;
    my $changed = mutate($file, $from, $to);

    if (!$changed) {
        fail("$what: loyalty_$file.c does not hold $from just once");
        next;
    }

    my %with = (%objects, $file => $changed);
    my @green = grep { !red(run_with($_, %with)) } @red;

    ok(!@green, $what) or diag("passes all the same: @green");
}

chdir $root or die "cannot leave $dir: $!";
done_testing();


# it failed or crashed; it neither hung nor could not be started

sub red {
    my ($status) = @_;

    return $status > 0 && ($status < 124 || $status > 127);
}


sub compile {
    my ($from, $to) = @_;

    return system($cc, @cflags, "-I$root/src/core", "-I$root/tests/unit",
                  '-c', '-o', $to, $from) == 0;
}


sub run_with {
    my ($name, %with) = @_;

    system($cc, '-o', "$dir/test", $mains{$name}, values %with, @libs) == 0
        or BAIL_OUT("test_$name does not link");

    system("timeout 30 $dir/test > $dir/log 2>&1");

    return $? & 127 ? 128 + ($? & 127) : $? >> 8;
}


sub mutate {
    my ($file, $from, $to) = @_;

    open my $in, '<', "$root/src/core/loyalty_$file.c" or return;
    my $text = do { local $/ = undef; <$in> };
    close $in or return;

    my $count = () = $text =~ /\Q$from\E/g;
    return if $count != 1;

    $text =~ s/\Q$from\E/$to/;

    open my $out, '>', "$dir/mutant.c" or return;
    print $out $text;
    close $out or return;

    compile("$dir/mutant.c", "$dir/mutant.o")
        or BAIL_OUT("the mutant of loyalty_$file.c does not compile");

    return "$dir/mutant.o";
}
