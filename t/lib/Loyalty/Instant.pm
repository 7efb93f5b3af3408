package Loyalty::Instant;

# One instant win of a test's nginx, seen from outside: its plays, its log in
# Redis, and what must hold of both.
#
#     my $g = Loyalty::Instant->new($t, 'scratch');   # waits until registered
#     my $r = $g->play('member', 'key', %opt)         POST games/NAME/plays
#     $g->post('member', 'key')      what $t->parallel wants for it
#     $g->log                        the records, one after another
#     $g->records                    the same by name; tier and serial -1: none
#     $g->counts                     { wins => .., tier => { 0 => .., ... } }
#     $g->taken('mug', '')           how many of each prize the game's state
#                                    says are awarded; '' are a deck's blanks
#     $g->sound(stock => [10, undef])    tests the log: gapless, no key twice,
#                                    in time, no prize beyond its stock
#     $g->everything                 all of Redis, to hold against later
#     $g->fetch('log')  $g->file('manifest')  $g->save($dir)  $g->verify(@opt)
#     Loyalty::Instant::at($s)       a time for open and close, s from now
#     Loyalty::Instant::fsck($t)     loyalty-fsck as a test
#
# The server needs  location /fair/ { loyalty_proof shop; }.

use strict;
use warnings;
no warnings 'portable';

use Cwd qw(realpath);
use Digest::SHA qw(sha256);
use File::Basename qw(dirname);
use POSIX qw(strftime);
use Test::More;

my ($root, $number);

BEGIN {
    $root = realpath(dirname(__FILE__) . '/../../..');
    unshift @INC, "$root/bin/lib";
}

use Loyalty::MsgPack;


sub at { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + $_[0])) }


sub new {
    my ($class, $t, $name, %opt) = @_;
    my $self = bless { t => $t, name => $name, prefix => '/loyalty/', %opt },
                     $class;

    $t->wait_for(sub {
        my $games = $t->get('/fair/games')->body // '';
        ($self->{cid}) = $games =~ /^\Q$name\E ([0-9a-f]{32}) /m;
        return $self->{cid} && $self->fetch('manifest')->status == 200;
    }) or die "instant_win $name is not registered\n";

    $self->{tag} = "{shop:g:$name:$self->{cid}}";

    return $self;
}


sub post {
    my ($self, $member, $key, %opt) = @_;

    return ('POST', "$self->{prefix}games/$self->{name}/plays", $opt{body},
            headers => { 'X-Member' => $member,
                         defined $key ? ('Idempotency-Key' => $key) : (),
                         %{ $opt{headers} // {} } },
            $opt{port} ? (port => $opt{port}) : (), timeout => 30);
}


sub play {
    my ($self, $member, $key, %opt) = @_;

    return $self->{t}->request($self->post($member,
        exists $opt{no_key} ? undef : $key // 'key ' . ++$number, %opt));
}


sub values {
    my ($self) = @_;
    my $raw = $self->{t}->redis->call('GET', "$self->{tag}:s")
        // die "no state of $self->{name}\n";

    return map { ref $_ ? $$_ : $_ } Loyalty::MsgPack::decode_all($raw);
}


sub taken {
    my ($self, @prizes) = @_;
    my @v = $self->values;
    my @names = unpack '(a4)*', $v[6];
    my %taken = map { $names[$_] => $v[7 + $_] } 0 .. $#names;

    return [map { $taken{ $_ eq '' ? "\0" x 4 : substr(sha256($_), 0, 4) } // 0 }
            @prizes];
}


sub log {
    my ($self) = @_;
    my $n = int((($self->values)[1] + 4095) / 4096);

    return join '', map { $self->{t}->redis->call('GET', "$self->{tag}:l:$_")
                          // '' } 0 .. $n;
}


sub record {
    my ($bytes) = @_;
    my %p;

    length $bytes == 189 or die "no record of a play\n";
    @p{qw(tag cid seq t e round person id idx ctr mode n r tier serial status
          u)} = unpack 'a24 a16 Q> Q> N Q> a32 a16 N N C Q> Q> N Q> N a32',
                       $bytes;
    $p{tag} eq "nginx-loyalty/1 playrec\0" or die "no record of a play\n";
    $p{tier} == 0xffffffff and $p{tier} = -1;
    $p{$_} == 18446744073709551615 and $p{$_} = -1 for qw(r serial);
    $p{degraded} = $p{status} & 0x100 ? 1 : 0;
    $p{status} &= 0xff;
    $p{bytes} = $bytes;

    return \%p;
}


sub records { return map { record($_) } unpack '(a189)*', $_[0]->log }


sub counts {
    my ($self) = @_;
    my %n = (plays => 0, wins => 0, tier => {});

    for my $r ($self->records) {
        $n{plays}++;
        next if $r->{status} != 1;
        $n{wins}++;
        $n{tier}{ $r->{tier} }++;
    }

    return \%n;
}


sub sound {
    my ($self, %opt) = @_;
    my @records = $self->records;
    my (%id, %idx, @bad, @awarded);
    my $next = 0;

    for my $r (@records) {
        push @bad, "seq $r->{seq} at $next" if $r->{seq} != $next++;
        push @bad, "key twice at $r->{seq}" if $id{ $r->{id} }++;

        if ($r->{mode} != 3) {
            my $want = $idx{"$r->{e} $r->{round} $r->{person}"}++ // 0;
            push @bad, "idx $r->{idx} for $want at $r->{seq}"
                if $r->{idx} != $want;
        }

        next if $r->{status} != 1;

        my $stock = $opt{stock}[ $r->{tier} ];

        push @bad, "serial $r->{serial} at $r->{seq}"
            if $r->{serial} != (defined $stock ? $awarded[$r->{tier}] // 0
                                               : -1);
        $awarded[ $r->{tier} ]++;
        push @bad, "beyond the stock at $r->{seq}"
            if defined $stock && $awarded[ $r->{tier} ] > $stock;
    }

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is_deeply([@bad[0 .. ($#bad > 4 ? 4 : $#bad)]], [],
              "$self->{name}: the log of " . @records . ' plays');

    return \@records;
}


# what nginx does by itself once a second is left out

sub everything {
    my ($self) = @_;
    my $redis = $self->{t}->redis;
    my %all;

    for my $key (sort @{ $redis->call('KEYS', '*') }) {
        next if $key =~ /^(?:loyalty:|\{shop\}:)
                         |:(?:meta|rounds|d|f:\w+)\z/x;
        $all{$key} = unpack 'H*', $redis->call('DUMP', $key);
    }

    return \%all;
}


sub fetch {
    my ($self, $file) = @_;
    return $self->{t}->get("/fair/$self->{name}/$self->{cid}/$file");
}


sub file {
    my ($self, $file) = @_;
    my $r = $self->fetch($file);
    return $r->status == 200 ? $r->body : undef;
}


sub save {
    my ($self, $dir) = @_;

    mkdir $dir;

    for my $file (qw(manifest terms-1 prizes-1 rules-1 terms-2 prizes-2
                     rules-2 heads log timestamps cosignatures beacons reveal
                     evidence))
    {
        my $r = $self->fetch($file);
        _write("$dir/$file", $r->body) if $r->status == 200;
    }

    _write("$dir/vkey", $self->{t}->get('/fair/vkey')->body);

    return $dir;
}


sub _write {
    my ($path, $bytes) = @_;
    open my $fh, '>:raw', $path or die "$path: $!\n";
    print {$fh} $bytes or die "$path: $!\n";
    close $fh or die "$path: $!\n";
    return;
}


# exit code and output of loyalty-verify

sub verify {
    my ($self, @options) = @_;
    my $dir = $self->save($self->{t}->dir . "/proof-$self->{name}");
    my $verify = ($ENV{LOYALTY_BUILD} // "$root/build") . '/loyalty-verify';
    my $out = `$verify @options $dir 2>&1`;

    return ($? >> 8, $out);
}


sub fsck {
    my ($t, $name) = @_;
    my $out = `$root/bin/loyalty-fsck --redis unix:@{[ $t->dir ]}/redis.sock`;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    like($out, qr/^fsck: \d+ members, \d+ records, 0 violations$/m,
         $name // 'the ledger of every member');

    return;
}


1;
