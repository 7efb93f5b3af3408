#!/usr/bin/perl

# A draw that this server has stopped, or that the store is not safe enough
# for, is looked at, paused and resumed all the same, and members are erased.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use Loyalty::Instant;
use Loyalty::Sweeps;
use Loyalty::Test;
use Test::More;

my ($open, $close) = (Loyalty::Instant::at(-60), Loyalty::Instant::at(3600));
my $program = <<"END";
secret_file %%TESTDIR%%/secret;
unsafe_store on;
wallet points;
sweepstakes spring { open $open; close $close; free_entry on;
    prize trip { stock 2; } }
instant_win wheel { open $open; close $close; draw odds;
    prize pen { stock 5; odds 1/2; } }
END

my $t = Loyalty::Test->new(
    files => { secret => $Loyalty::Sweeps::SECRET },
    server => 'location /fair/ { loyalty_proof shop; }',
    allow => [ qr/is stopped: / ],
    program => $program);
my $spring = Loyalty::Sweeps->new($t, 'spring');
my $wheel = Loyalty::Instant->new($t, 'wheel');


sub enter {
    return $spring->enter($_[0], { tickets => 1, free => JSON::PP::true });
}


sub erase {
    return $t->request('DELETE', "/loyalty-admin/members/$_[0]");
}


# both draws, stopped or not: what looking, pausing and resuming tell
sub stands {
    my ($name, %stopped) = @_;

    for my $path ('games/wheel', 'sweepstakes/spring') {
        my $why = $stopped{$path} // '';

        for (['', 'open'], ['/pause', 'paused'], ['/resume', 'open']) {
            my ($verb, $state) = @$_;
            my $uri = "/loyalty-admin/$path$verb";
            my $r = $verb ? $t->post($uri, {}) : $t->get($uri);

            is($r->status . ' ' . ($r->json->{state} // $r->code) . ' '
               . ($r->json->{stopped} // ''), "200 $state $why",
               "$name: $path$verb");
        }
    }
}


sub reload {
    my ($from, $to, $pattern) = @_;

    $t->write_file('program.conf', $program =~ s/\Q$from\E/$to/r);
    ok($t->reload(wait => 1), 'a reload');
    ok($t->wait_log($pattern, 5), "and $pattern") if $pattern;
}


is(enter($_)->status, 200, "$_ enters") for 'a' .. 'e';

reload('unsafe_store on;', '');
stands('an unsafe store', map { $_ => 'unsafe_store' }
       'games/wheel', 'sweepstakes/spring');
is(erase('a')->status, 200, 'who is erased');

reload('stock 2', 'stock 3', qr/spring is stopped: /);
stands('changed rules', 'sweepstakes/spring' => 'rules_changed');
is(erase('b')->status, 200, 'who is erased');

reload('instant_win wheel {', 'instant_win wheel { version 2;',
       qr/registered version 2/);
reload('', '', qr/wheel is stopped: .*version 2 is registered/);
stands('an older version', 'games/wheel' => 'stale_configuration');
is(erase('c')->status, 200, 'who is erased');

is(enter($_)->code, 'not_eligible', "$_ is gone, and does not begin anew")
    for 'a' .. 'c';

# without the secret nobody knows who they are in the draw

$t->write_file(secret => 'other:' . '5b' x 32 . "\n");
reload('', '', qr/spring is stopped: .*secret/);
stands('a lost secret', map { $_ => 'rules_changed' }
       'games/wheel', 'sweepstakes/spring');

my $r = erase('d');
is($r->code, 'rules_changed', 'nobody is erased then');
like($r->json->{detail}, qr/^this server does not know who .* wheel: /,
     'in words')
    or diag $r->body;
is($t->get('/loyalty-admin/members/d')->status, 200, 'who is still there');

done_testing();
