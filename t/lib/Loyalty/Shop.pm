package Loyalty::Shop;

# A shop that is observed: its purchases, and whether each was credited once.
#
#     my $t = Loyalty::Shop->start(http => 'loyalty_spool …;', ...);
#               # a Loyalty::Test with a program and /buy; its arguments, and
#               # redis_to => 'unix:…': parameters of "redis"
#     my $shop = Loyalty::Shop->new($t);
#     $shop->buy(100, 'in peace');        # tests that the pages are served
#     $shop->credited('in peace');        # tests that each is credited once
#     $shop->lost(2);                     # so many never will be
#     $shop->sum $shop->metric($name, 'reason="x"') $shop->files
#     $shop->renewed($signal, $who...)    # signals workers; others come

use strict;
use warnings;

use Loyalty::Test;
use Test::More;
use Time::HiRes qw(sleep time);


sub start {
    my ($class, %arg) = @_;

    my $to = delete $arg{redis_to} // 'unix:%%REDIS%% timeout=300ms';

    return Loyalty::Test->new(
        workers => 2, redis => { appendonly => 1 },
        program => "redis $to;\nwallet points;\n"
            . "earn purchase points 1 per=1.00;\n" . ($arg{rules} // ''),
        allow => [ qr/exited on signal 9/ ], server => <<'END', %arg);
location = /buy {
    loyalty_observe shop purchase member=$arg_m id=$arg_o amount=1.00;
    return 200 "bought\n";
}
END
}


sub new {
    my ($class, $t) = @_;

    return bless { t => $t, bought => 0, lost => 0, pause => 0.06 }, $class;
}


sub metric {
    my ($self, $name, $labels) = @_;

    $labels = defined $labels ? ",$labels" : '';
    return $self->{t}->metrics->{
        "nginx_loyalty_$name\{program=\"shop\"$labels}"};
}


sub files {
    my ($self) = @_;

    my @files = sort grep { !/\.(?:lock|store)$/ }
                glob $self->{t}->dir . '/spool/*';
    return @files;
}


sub sum {
    my ($self) = @_;

    return eval {
        my $n = 0;
        $n += $self->{t}->me("m$_")->json->{wallets}{points}{balance} // die
            for 0 .. 9;
        $n;
    } // 0;
}


# so many purchases of ten members, each served as if nothing were; a moment
# between them, as a shop has
sub buy {
    my ($self, $n, $what) = @_;
    my $t = $self->{t};
    my ($wrong, $slowest) = (0, 0);

    for (1 .. $n / 20) {
        my $started = time;
        my @responses = $t->parallel(map {
            my $i = $self->{bought}++;
            [ GET => '/buy?m=m' . $i % 10 . "&o=o$i" ] } 1 .. 20);

        $wrong += grep { $_->status != 200 || $_->body ne "bought\n" }
                  @responses;
        $slowest = time - $started if time - $started > $slowest;
        sleep $self->{pause};
    }

    is($wrong, 0, "$what: $n pages are served");
    cmp_ok($slowest, '<', 0.25 * $t->slow, "$what: at once");
    return;
}


sub lost { $_[0]{lost} += $_[1]; return }


# each is credited once, in the end
sub credited {
    my ($self, $what, $seconds) = @_;
    my $want = $self->{bought} - $self->{lost};
    my $sum = 0;

    my $ok = $self->{t}->wait_for(sub {
        $sum = $self->sum;
        return $sum == $want && $self->metric('ring_used_slots') == 0
            && $self->metric('spool_bytes') == 0;
    }, $seconds // 10);

    ok($ok, "$what: each is credited once") or diag("$sum of $want");
    return;
}


sub renewed {
    my ($self, $signal, @who) = @_;
    my $t = $self->{t};
    my %old = map { $_ => 1 } @who ? @who : $t->workers;

    kill $signal, keys %old;

    ok($t->wait_for(sub {
        my @now = $t->workers;
        return @now == 2 && !grep { $old{$_} } @now }, 8),
       "workers get $signal, and others come");
    return;
}


# the ring is empty, whether or not Redis is there
sub settled {
    my ($self, $what) = @_;

    ok($self->{t}->wait_for(sub { $self->metric('ring_used_slots') == 0 }),
       "$what: the ring is empty");
    return;
}


1;
