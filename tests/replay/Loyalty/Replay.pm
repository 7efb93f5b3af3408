package Loyalty::Replay;

# Purchases posted to a running shop, read back member by member, and
# compared with the books.  Each phase is a few tests of Test::More.
#
#     my $replay = Loyalty::Replay->new($name, $purchases);
#     $replay->post($order)          posts, and compares what effects say
#     $replay->accounts              reads back, and compares with the books
#     $replay->histories($n)         those of the $n most frequent customers
#     $replay->repeat($order)        posts again: nothing changes
#     $replay->reverse_all($order)   takes every purchase back
#     $replay->nothing_left          reads back: all accounts are empty
#     $replay->fsck                  proves the ledger
#     $replay->finish                stops the servers
#
# What was observed stays in $replay->{seen}, for figures of one data set.

use strict;
use warnings;

use Cwd qw(realpath);
use Digest::MD5 qw(md5);
use File::Basename qw(dirname);
use Test::More;
use Time::HiRes qw(time);

use Loyalty::Client;
use Loyalty::Purchases;
use Loyalty::Test;

my $LINES = 1000;               # a request
my $SHOWN = 5;                  # differences that are shown

my $root = realpath(dirname(__FILE__) . '/../../..');

# Points, the two challenges and the three streaks are what is replayed;
# stamps count the challenges, and treats are paid by a streak.
my $PROGRAM = <<"END";
redis unix:%%REDIS%% timeout=30s;
durability none;
timezone $Loyalty::Purchases::ZONE;
money USD 2;
max_event_age 40y;
wallet points negative=on;
wallet stamps;
wallet treats;

earn purchase points 1 per=1.00;

challenge five { on purchase; goal 5; award stamps 1; }
challenge month {
    on purchase;
    goal 100.00 of amount;
    every month;
    award stamps 1;
}

streak days { on purchase; every day; }
streak weeks { on purchase; every week; }
streak months { on purchase; every month; }
streak treat {
    on purchase;
    every week;
    award treats 1 at=2;
    award treats 10 every=5;
}
END


sub new {
    my ($class, $name, $purchases) = @_;

    my $t = Loyalty::Test->new(program => $PROGRAM, http => <<'END');
access_log off;
keepalive_requests 1000000;
client_max_body_size 4m;
client_body_buffer_size 4m;
END

    return bless { t => $t, name => $name, purchases => $purchases,
                   books => Loyalty::Purchases::books($purchases),
                   time => time, seen => {} }, $class;
}


sub finish {
    my ($self) = @_;

    ok($self->{t}->stop, "$self->{name}: nginx ends");
    $self->{t}->redis_stop;

    return;
}


# ---- what is reported, and how long it took ----

sub done {
    my ($self, $what) = @_;
    my $now = time;

    note(sprintf '%s: %s: %.1f s', $self->{name}, $what,
         $now - $self->{time});
    $self->{time} = $now;

    return;
}


# a test that no difference was found; the first ones are shown
sub none {
    my ($self, $wrong, $what) = @_;

    is(scalar @$wrong, 0, "$self->{name}: $what");

    my $last = $#$wrong < $SHOWN ? $#$wrong : $SHOWN - 1;
    diag("    $_") for @$wrong[0 .. $last];

    return;
}


sub equal {
    my ($self, $wrong, $what, $got, $expected) = @_;

    push @$wrong, "$what: " . ($got // 'nothing') . " instead of $expected"
        if !defined $got || $got ne $expected;

    return;
}


# ---- HTTP ----

sub client {
    my ($self, %arg) = @_;

    return Loyalty::Client->new(port => $self->{t}->port, %arg);
}


# NDJSON, so many lines a request, in order; each line of the answer goes to
# $line->($purchase, $text)
sub post_lines {
    my ($self, $order, $line) = @_;
    my $from = 0;

    $self->client(depth => 2)->run(sub {
        return if $from > $#$order;

        my $to = $from + $LINES - 1;
        $to = $#$order if $to > $#$order;
        my @lines = @$order[$from .. $to];
        $from = $to + 1;

        return (\@lines, 'POST', '/loyalty-in/events',
                join('', map { _line($_) } @lines),
                'Content-Type' => 'application/x-ndjson');
    }, sub {
        my ($lines, $status, $body) = @_;
        my @answers = split /\n/, $body;

        if ($status != 200 || @answers != @$lines) {
            die "$status, ", scalar @answers, ' lines for ',
                scalar @$lines, ": $answers[0]\n";
        }

        $line->($_, shift @answers) for @$lines;
    });

    return;
}


sub _line {
    my ($p) = @_;

    return sprintf '{"id":"%d","member":"%s","type":"purchase",'
                   . '"at":"%s","amount":"%d.%02d"}' . "\n",
           $p->{line}, $p->{customer}, $p->{at}, $p->{cents} / 100,
           $p->{cents} % 100;
}


# ---- posting ----

# The answer to each line says what happened; added up, that is what the
# books say.
sub post {
    my ($self, $order) = @_;
    my ($points, @wrong) = (0);
    my (%five, %month, %digest);

    $self->post_lines($order, sub {
        my ($p, $text) = @_;
        my $id = qr/"id":"$p->{line}","member":"$p->{customer}"/;

        push @wrong, $text
            if $text !~ /^\{"status":200,$id,"duplicate":false,"effects":\[/;

        $points += $1 while $text =~ /"wallet":"points","amount":(-?\d+)/g;

        for my $name ($text =~ /"name":"(\w+)"[^{}]*"completed":true/g) {
            ($name eq 'five' ? \%five : \%month)->{$p->{customer}}++;
        }

        $digest{$p->{line}} = md5($text);
    });

    my $books = $self->{books};
    my $sum = 0;
    $sum += $_->{points} for values %$books;

    $self->none(\@wrong, @$order . ' purchases are accepted');
    is($points, $sum, "$self->{name}: points of all effects");

    for my $customer (sort keys %$books) {
        $self->equal(\@wrong, "$customer five", $five{$customer} // 0,
                     $books->{$customer}{purchases} >= 5 ? 1 : 0);
        $self->equal(\@wrong, "$customer months", $month{$customer} // 0,
                     $books->{$customer}{full_months});
    }

    $self->none(\@wrong, 'challenges completed, by their effects');

    $self->{seen}{five} = \%five;
    $self->{seen}{month} = \%month;
    $self->{digest} = \%digest;
    $self->done('posted');

    return;
}


# Each answer is the first one again, and not a byte of the store changes.
sub repeat {
    my ($self, $order) = @_;
    my $before = $self->{t}->redis->call('DEBUG', 'DIGEST');
    my @wrong;

    $self->post_lines($order, sub {
        my ($p, $text) = @_;
        my $first = $text =~ s/"duplicate":true/"duplicate":false/r;

        push @wrong, $text
            if $first eq $text || md5($first) ne $self->{digest}{$p->{line}};
    });

    $self->none(\@wrong, 'posted again, all are duplicates');
    is($self->{t}->redis->call('DEBUG', 'DIGEST'), $before,
       "$self->{name}: posted again, nothing in Redis has changed");
    $self->done('posted again');

    return;
}


# ---- reading back ----

# GET me of every customer: $check->($customer, $me)
sub each_account {
    my ($self, $check) = @_;
    my @customers = sort keys %{$self->{books}};
    my ($n, $read) = (0, 0);

    $self->client(connections => 4, depth => 25)->run(sub {
        my $customer = $customers[$n++] // return;
        return ($customer, 'GET', '/loyalty/me', undef,
                'X-Member' => $customer);
    }, sub {
        my ($customer, $status, $body) = @_;
        my $me = $status == 200 ? decode($body) : undef;

        die "$customer: $status $body\n"
            if ref $me ne 'HASH' || $me->{member} ne $customer;

        for my $list (qw(challenges streaks)) {
            $me->{$list} = { map { $_->{name} => $_ } @{$me->{$list}} };
        }

        $check->($customer, $me);
        $read++;
    });

    is($read, scalar @customers, "$self->{name}: every member is read back");

    return;
}


# %opt: late => 1 where the order of arrival had a say in what treats paid
sub accounts {
    my ($self, %opt) = @_;
    my $seen = $self->{seen};
    my (@points, @stamps, @five, @best, @last, @treats);

    $seen->{points} = 0;
    delete $seen->{best};

    $self->each_account(sub {
        my ($customer, $me) = @_;
        my $book = $self->{books}{$customer};
        my ($wallets, $five) = ($me->{wallets}, $me->{challenges}{five});
        my $done = $book->{purchases} >= 5;

        $seen->{points} += $wallets->{points}{balance};

        for my $what (qw(balance lifetime)) {
            $self->equal(\@points, "$customer $what",
                         $wallets->{points}{$what}, $book->{points});
            $self->equal(\@stamps, "$customer $what",
                         $wallets->{stamps}{$what},
                         $done + $book->{full_months});
        }

        $self->equal(\@five, $customer,
                     "$five->{progress}/$five->{goal} $five->{completed}",
                     ($done ? 5 : $book->{purchases}) . '/5 '
                     . ($done ? 1 : 0));
        $self->equal(\@five, "$customer month",
                     $me->{challenges}{month}{progress}, '0.00');

        for my $unit (qw(days weeks months)) {
            my $streak = $me->{streaks}{$unit};

            $seen->{best}{$unit}{$customer} = $streak->{best};
            $self->equal(\@best, "$customer $unit", $streak->{best},
                         $book->{best}{$unit});
            $self->equal(\@last, "$customer $unit",
                         "$streak->{state} $streak->{length} "
                         . $streak->{last_length},
                         "broken 0 $book->{last}{$unit}");
        }

        my $paid = $wallets->{treats}{balance};
        $self->equal(\@treats, $customer, $paid, $book->{treats})
            if !$opt{late} || $paid < $book->{treats};
    });

    $self->none(\@points, 'points of each customer');
    $self->none(\@stamps, 'stamps of each customer');
    $self->none(\@five, 'progress of each customer');
    $self->none(\@best, 'best streaks of each customer');
    $self->none(\@last, 'last streaks of each customer');
    $self->none(\@treats, 'treats of each customer');
    $self->done('read back');

    return;
}


# GET me/history, page by page, of those who have most of it
sub histories {
    my ($self, $n) = @_;
    my $books = $self->{books};
    my @often = sort { $books->{$b}{purchases} <=> $books->{$a}{purchases}
                       || $a cmp $b } keys %$books;
    my @wrong;

    for my $customer (@often[0 .. $n - 1]) {
        my @mine = grep { $_->{customer} eq $customer } @{$self->{purchases}};
        my ($cursor, @history) = ('');

        do {
            my $page = $self->{t}->history($customer,
                'limit=100' . ($cursor ? "&cursor=$cursor" : ''))->json;
            push @history, @{$page->{history}};
            $cursor = $page->{next};
        } while (defined $cursor);

        $self->equal(\@wrong, $customer,
            join(' ', map { "$_->{id}:$_->{amount}" } reverse @history),
            join(' ', map { sprintf '%d:%d.%02d', $_->{line},
                                    $_->{cents} / 100, $_->{cents} % 100 }
                      @mine));
    }

    $self->none(\@wrong, "the whole history of $n customers");

    return;
}


# ---- taking it back ----

# Each purchase by its own request, whole; and a few of them twice.
sub reverse_all {
    my ($self, $order) = @_;
    my ($points, @wrong) = (0);
    my @todo = (@$order, @$order[0 .. $#$order / 100]);
    my (%digest, $n);

    $self->client(connections => 8, depth => 4)->run(sub {
        my $p = $todo[$n++] // return;
        return ($p, 'POST', "/loyalty-in/events/$p->{line}/reversal",
                qq({"id":"r$p->{line}","member":"$p->{customer}"}),
                'Content-Type' => 'application/json');
    }, sub {
        my ($p, $status, $text) = @_;
        my $first = $text =~ s/"duplicate":true/"duplicate":false/r;

        if (defined $digest{$p->{line}}) {
            push @wrong, $text if $first eq $text
                               || md5($first) ne $digest{$p->{line}};
            return;
        }

        push @wrong, "$p->{line}: $text"
            if $status != 200 || $first ne $text || $text !~ /^\{"id":"r/;
        push @wrong, $text if $text =~ /"owed"/;

        $points += $1 while $text =~ /"wallet":"points","amount":(-?\d+)/g;
        $digest{$p->{line}} = md5($text);
    });

    my $sum = 0;
    $sum += $_->{points} for values %{$self->{books}};

    $self->none(\@wrong, @$order . ' purchases are reversed');
    is($points, -$sum, "$self->{name}: points of all reversals");
    $self->done('reversed');

    return;
}


sub nothing_left {
    my ($self) = @_;
    my (@wallets, @challenges, @streaks);

    $self->each_account(sub {
        my ($customer, $me) = @_;

        for my $name (qw(points stamps treats)) {
            my $wallet = $me->{wallets}{$name};
            $self->equal(\@wallets, "$customer $name", join(' ', map {
                "$_ $wallet->{$_}" } sort keys %$wallet),
                'balance 0 lifetime 0');
        }

        for my $name (qw(five month)) {
            my $challenge = $me->{challenges}{$name};
            $self->equal(\@challenges, "$customer $name",
                         "$challenge->{progress} $challenge->{completed}",
                         $name eq 'five' ? '0 0' : '0.00 0');
        }

        for my $name (qw(days weeks months treat)) {
            my $s = $me->{streaks}{$name};
            $self->equal(\@streaks, "$customer $name",
                         "$s->{state} $s->{length} $s->{best} "
                         . $s->{last_length}, 'none 0 0 0');
        }
    });

    $self->none(\@wallets, 'no balance is left');
    $self->none(\@challenges, 'no progress is left');
    $self->none(\@streaks, 'no streak is left');
    $self->done('read back');

    return;
}


# ---- the ledger ----

sub fsck {
    my ($self, $when) = @_;
    my $redis = 'unix:' . $self->{t}->dir . '/redis.sock';
    my $said = `"$root/bin/loyalty-fsck" --redis "$redis" 2>&1`;
    my $members = keys %{$self->{books}};

    my @lines = split /\n/, $said;

    like($lines[-1] // '', qr/^fsck: $members members, \d+ records, 0 viol/,
         "$self->{name}: the ledger is sound $when");

    my $last = $#lines < $SHOWN ? $#lines - 1 : $SHOWN - 1;
    diag("    $_") for @lines[0 .. $last];

    $self->done('fsck');

    return;
}


# ---- JSON ----

# Reads JSON that the module wrote, a good deal faster than the JSON of
# core Perl.  Escapes stay as they are; true and false are 1 and 0.
my %WORDS = (true => 1, false => 0, null => undef);

sub decode {
    my ($text) = @_;

    pos($text) = 0;
    my $value = _value(\$text);
    $text =~ /\G\s*\z/gc or die "no JSON at its end: $text\n";

    return $value;
}


sub _value {
    my ($text) = @_;

    return $1 if $$text =~ /\G"((?:[^"\\]|\\.)*)"/gc;
    return $1 if $$text =~ /\G(-?\d+)/gc;
    return $WORDS{$1} if $$text =~ /\G(true|false|null)/gc;

    if ($$text =~ /\G\{/gc) {
        my %object;
        return \%object if $$text =~ /\G\}/gc;

        do {
            $$text =~ /\G"((?:[^"\\]|\\.)*)":/gc or die "no JSON: $$text\n";
            my $name = $1;
            $object{$name} = _value($text);
        } while ($$text =~ /\G,/gc);

        return \%object if $$text =~ /\G\}/gc;

    } elsif ($$text =~ /\G\[/gc) {
        my @array;
        return \@array if $$text =~ /\G\]/gc;

        do {
            push @array, _value($text);
        } while ($$text =~ /\G,/gc);

        return \@array if $$text =~ /\G\]/gc;
    }

    die 'no JSON at ', pos($$text) // 0, ": $$text\n";
}


1;
