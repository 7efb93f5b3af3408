#!/usr/bin/perl

# loyalty-fsck: a good store passes, each kind of damage is told.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../bin/lib";

use Digest::SHA qw(sha256);
use Loyalty::Member;
use Loyalty::MsgPack;
use Loyalty::Test;
use Test::More;


my $t = Loyalty::Test->new(program => <<'END');
money EUR 2;
timezone UTC;
max_event_age 7d;
wallet points;
wallet credits;
earn purchase points 1 per=1.00;
challenge five {
    on purchase;
    goal 5;
    award credits 3;
}
streak days {
    on purchase;
    every day;
    award credits 1 at=1;
}
END

my $redis = $t->redis;


sub run {
    my (@args) = @_;

    my $pid = open my $out, '-|';
    defined $pid or die "fork: $!";

    if (!$pid) {
        open STDERR, '>&', \*STDOUT;
        exec $^X, "$FindBin::Bin/../bin/loyalty-fsck", @args;
    }

    my $said = do { local $/; <$out> } // '';
    close $out;

    return ($? >> 8, $said);
}


sub fsck { return run('--redis', 'unix:' . $t->dir . '/redis.sock', @_) }


sub purchase {
    my ($member, $id, $amount) = @_;

    $t->event({ id => "$id", member => $member, type => 'purchase',
                amount => $amount })->status == 200
        or die "purchase $id of $member failed\n";

    return;
}


# ---- good stores ----

my ($status, $said) = fsck();

is($status, 0, 'an empty store');
is($said, "fsck: 0 members, 0 records, 0 violations\n", 'has nothing');

purchase('anna', $_, "$_.50") for 1 .. 30;
purchase('bert', 1, '5.00');
purchase("Zo\xc3\xab 17:", 1, '5.00');

$t->reversal(30, { member => 'anna', id => 'r30' });
$t->reversal(2, { member => 'anna', id => 'r2', amount => '1.00' });
$t->reversal(1, { member => 'bert', id => 'r1' });

($status, $said) = fsck();

is($said, "fsck: 3 members, 35 records, 0 violations\n", 'a good store');
is($status, 0, 'passes');

my $key = Loyalty::Member::key('shop', 'm', 'anna');
my $extra = Loyalty::Member::key('shop', 'x', 'anna');

ok($redis->call('EXISTS', $extra), 'it has an overflow');


# Records that are forgotten go into opening: the same call as nginx makes,
# 200 days later.

sub call_event {
    my ($member, $id, $amount, $now) = @_;

    my ($functions) = map { @$_ } $redis->call('FUNCTION', 'LIST');
    my %library = @$functions;
    my ($hash) = $library{library_name} =~ /_(\w+)$/;

    my $hash4 = sub { substr sha256($_[0]), 0, 4 };
    my $constants = [ $hash4->('program shop'), 90 * 86_400_000, 1000,
                      [ $hash4->('wallet points'), 0 ], [],
                      7 * 86_400_000 ];
    my $earn = [ 1, $hash4->('earn by hand'), $hash4->('wallet points'),
                 1, 100, 0, 1 ];

    my $arg = join '', map { Loyalty::MsgPack::encode($_) } (
        $now, $now, chr(length $id) . $id,
        pack('nNNa6', $now >> 32, $now & 0xffffffff, int($now / 1000), $id),
        $hash4->('type purchase'), 'purchase', $amount, undef, $member,
        Loyalty::MsgPack::encode($constants), 1,
        Loyalty::MsgPack::encode($earn), undef,
    );

    my $tag = Loyalty::Member::tag('shop',
                  Loyalty::Member::partition($member));

    my $reply = $redis->call('FCALL', "event_$hash", 4,
        (map { Loyalty::Member::key('shop', $_, $member) } qw(m x)),
        "$tag:feed", "$tag:al", $arg);

    die "FCALL: $reply\n" if $reply !~ /^N/;

    return;
}


my $now = time * 1000;

call_event('carl', "old $_", 100 * $_, $now) for 1 .. 40;
call_event('carl', "new $_", 100 * $_, $now + 200 * 86_400_000)
    for 1 .. 20;

my $carl = Loyalty::Member::parse($redis->call('GET',
               Loyalty::Member::key('shop', 'm', 'carl')));

cmp_ok($carl->{wallets}[0]{opening}, '>', 0, 'old records are forgotten');

($status, $said) = fsck();

like($said, qr/^fsck: 4 members, \d+ records, 0 violations\n\z/,
     'opening has their points');
is($status, 0, 'and passes');


# ---- other programs, options ----

($status, $said) = fsck('--program', 'shop');
like($said, qr/^fsck: 4 members/, '--program: this one');

($status, $said) = fsck('--program', 'other');
is($said, "fsck: 0 members, 0 records, 0 violations\n", 'another');

($status, $said) = fsck('--program', 's*p');
is($status, 2, 'no pattern as a program');

($status, $said) = run('--redis', 'unix:' . $t->dir . '/none');
is($status, 2, 'no Redis');
like($said, qr/^loyalty-fsck: cannot connect to unix:/, 'is said');

($status, $said) = fsck('extra');
is($status, 2, 'an extra argument');

($status, $said) = fsck('--help');
is($status, 0, '--help');
like($said, qr/^Usage: loyalty-fsck/, 'says how to use it');


# ---- damage ----

# what the store holds, to begin each damage with
my %whole = map { $_ => $redis->call('DUMP', $_) }
            @{ $redis->call('KEYS', '*') };


sub restore {
    $redis->call('FLUSHALL');
    $redis->call('RESTORE', $_, 0, $whole{$_}) for keys %whole;

    return;
}


sub damaged {
    my ($name, $pattern, $damage) = @_;

    restore();
    $damage->();

    my ($status, $said) = fsck();

    is($status, 1, "$name: found");
    like($said, $pattern, "$name: told");
    like($said, qr/^fsck: .* [1-9]\d* violations?$/m, "$name: counted");

    return;
}


# the value of a member as the values of its head, and its records
sub taken_apart {
    my ($value) = @_;
    my (@head, @records);
    my $at = 0;

    my $take = sub {
        for (1 .. $_[0]) {
            (my $v, $at) = Loyalty::MsgPack::decode_at($value, $at);
            push @head, $v;
        }
    };

    $take->(7);
    $take->(length $head[5]);
    $take->(length($head[6]) / 4);

    while ($at < length $value) {
        my $n = 2 + unpack 'n', substr $value, $at, 2;
        push @records, substr $value, $at, $n;
        $at += $n;
    }

    return (\@head, @records);
}


sub change {
    my ($member, $change) = @_;
    my $key = Loyalty::Member::key('shop', 'm', $member);
    my ($head, @records) = taken_apart($redis->call('GET', $key));

    $change->($head, \@records);
    $redis->call('SET', $key, join '',
                 (map { Loyalty::MsgPack::encode($_) } @$head), @records);

    return;
}


# a record with another body
sub with_body {
    my ($record, $change) = @_;

    my $front = 3 + ord(substr $record, 2, 1) + 16;
    my @body = Loyalty::MsgPack::decode_all(substr $record, $front);

    $change->(\@body);

    my $tail = join '', substr($record, 2, $front - 2),
                    map { Loyalty::MsgPack::encode($_) } @body;

    return pack('n', length $tail) . $tail;
}


change('anna', sub { });
is($redis->call('DUMP', $key), $whole{$key},
   'taking apart and putting together changes nothing');

damaged('one bit of a balance',
        qr/^shop\ member\ "anna":\ wallet\ points:\ opening\ 0\ \+\ records
           \ \d+\ is\ \d+,\ the\ balance\ is\ \d+$/mx,
        sub { change('anna', sub { $_[0][7] ^= 1 }) });

damaged('a balance by one byte of the value', qr/the balance is/, sub {
    my $value = $redis->call('GET', $key);
    my ($head) = taken_apart($value);
    my $number = Loyalty::MsgPack::encode($head->[7]);
    my $at = index $value, $number;

    substr $value, $at + length($number) - 1, 1,
           chr(ord(substr $number, -1) ^ 4);
    $redis->call('SET', $key, $value);
});

damaged('a wrong opening', qr/wallet points: opening 1 \+ records/,
        sub { change('anna', sub { $_[0][9] = 1 }) });

damaged('an opening of forgotten records', qr/"carl": .* opening/, sub {
    change('carl', sub { $_[0][9] -= 5 });
});

damaged('a balance of another wallet', qr/wallet credits: opening/,
        sub { change('anna', sub { $_[0][11] += 100 }) });

damaged('a removed record', qr/record \d+ follows record \d+/, sub {
    change('anna', sub { splice @{$_[1]}, 3, 1; $_[0][4]-- });
});

damaged('a removed record that the head counts',
        qr/has \d+ records in its value, its head says \d+/,
        sub { change('anna', sub { splice @{$_[1]}, 3, 1 }) });

damaged('the newest record is lost',
        qr/the newest record is \d+, the head says \d+/, sub {
    change('anna', sub { pop @{$_[1]}; $_[0][4]-- });
});

damaged('two records changed places', qr/record 19 follows record 20/, sub {
    change('anna', sub { @{$_[1]}[2, 3] = @{$_[1]}[3, 2] });
});

damaged('a record twice', qr/two records are of the event "\d+"/, sub {
    change('anna', sub { $_[1][4] = $_[1][3] });
});

damaged('the balance that a record keeps',
        qr/wallet points: record \d+ keeps the balance \d+, it follows/,
        sub {
    change('anna', sub {
        $_[1][5] = with_body($_[1][5], sub { $_[0][-2]++ });
    });
});

damaged('points of a record', qr/wallet points: opening 0/, sub {
    change('anna', sub {
        $_[1][5] = with_body($_[1][5], sub { $_[0][9]++ });
    });
});

damaged('an entry of no known kind', qr/an entry of unknown kind/, sub {
    change('anna', sub {
        $_[1][5] = with_body($_[1][5], sub { $_[0][7] = 99 });
    });
});

damaged('a slot that is not there', qr/names slot 77 of \d+/, sub {
    change('anna', sub {
        $_[1][5] = with_body($_[1][5], sub { $_[0][2] = 77 });
    });
});

damaged('another type', qr/has a type without its name/, sub {
    change('anna', sub {
        my ($head, $records) = @_;
        my ($i) = grep { $head->[$_] eq "\xc1purchase" } 7 .. $#$head;
        $head->[$i] = "\xc1present";
    });
});

damaged('a count of records in the head', qr/its head says 15/, sub {
    change('anna', sub { $_[0][4] = 15 });
});

damaged('another format', qr/the head has no format 1/, sub {
    change('anna', sub { $_[0][0] = 2 });
});

damaged('a value cut off', qr/the last record is cut off/, sub {
    my $value = $redis->call('GET', $key);
    $redis->call('SET', $key, substr $value, 0, -1);
});

damaged('an empty value', qr/"anna": /,
        sub { $redis->call('SET', $key, '') });

damaged('a value of another type', qr/Redis says WRONGTYPE/, sub {
    $redis->call('DEL', $key);
    $redis->call('HSET', $key, 'a', 'b');
});

damaged('a record lost from the overflow', qr/record 2 is missing in/, sub {
    $redis->call('HDEL', $extra, 's2', "i\x012");
});

damaged('an overflow lost', qr/records 1 to \d+ are missing/,
        sub { $redis->call('DEL', $extra) });

damaged('an id that leads nowhere', qr/its id leads to nothing/,
        sub { $redis->call('HDEL', $extra, "i\x012") });

damaged('an id that leads elsewhere', qr/its id leads to 3/,
        sub { $redis->call('HSET', $extra, "i\x012", 3) });

damaged('a field of no record', qr/a field "s999" of no record/,
        sub { $redis->call('HSET', $extra, 's999', 'x') });

damaged('an overflow that the head forgot', qr/of no record/,
        sub { change('anna', sub { $_[0][3] = 0 }) });

damaged('a huge range of records', qr/records 17 to 9007199254740/, sub {
    change('anna', sub { $_[0][1] = 9_007_199_254_740_991 });
});

damaged('an overflow of nobody', qr/"dora" has|"dora": has an overflow/,
        sub {
    $redis->call('HSET', Loyalty::Member::key('shop', 'x', 'dora'),
                 's1', 'x');
});

damaged('a wrong alias', qr/alias \d+ is not its id/,
        sub { change('anna', sub { $_[0][2]++ }) });

damaged('a member in another partition', qr/not in the partition/, sub {
    (my $wrong = $key) =~ s/^\{shop:\d+/{shop:63/;
    $redis->call('RENAME', $key, $wrong);
    $redis->call('RENAME', $extra, $wrong =~ s/:m:/:x:/r);
});

damaged('a key with a wrong length', qr/length of the member is wrong/,
        sub { $redis->call('RENAME', $key, $key . 'x') });

restore();
($status, $said) = fsck();
is($status, 0, 'and whole again');

done_testing();
