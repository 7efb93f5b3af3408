package Loyalty::Sweeps;

# One sweepstakes of a test's nginx, seen from outside: its published files,
# and its draw recomputed from them (Loyalty::Fairness).
#
#     my $s = Loyalty::Sweeps->new($t, 'spring');   # waits until registered
#     $s->enter('member', { tickets => 3 }, key => 'k')   POST entries
#     $s->show('member')  $s->claim('member')  $s->admin('draw', {...})
#     $s->wait_for_state('drawn', 20)
#     $s->file('picks')  $s->cid  $s->manifest  $s->close  $s->save($dir)
#     $s->recomputed      the file "picks" as the draw must have written it
#     $s->verify(@options)    exit code and output of loyalty-verify
#
# The server needs  location /fair/ { loyalty_proof shop; }.
#
# Before nginx starts, a campaign that is past its close may be put into Redis
# as registering and entering would have left it (secret: that of $MASTER):
#     Loyalty::Sweeps::plant($t, 'spring', $open, [['member', 3], ...])
# where ['void', 0] voids the first of these.

use strict;
use warnings;
no warnings 'portable';

use Cwd qw(realpath);
use File::Basename qw(dirname);

my $root;

BEGIN {
    $root = realpath(dirname(__FILE__) . '/../../..');
    unshift @INC, "$root/bin/lib";
}

use Loyalty::Fairness qw(T lp H HMAC u64 $Z leaf root entry entries winners
                         kp person entry_commit);
use Loyalty::MsgPack;
use MIME::Base64 qw(decode_base64 encode_base64);

my $number = 0;

our $MASTER = "\x5a" x 32;
our $SECRET = 'main:' . '5a' x 32 . "\n";


# open in seconds

sub plant {
    my ($t, $name, $open, $entries) = @_;
    my $cid = Loyalty::Fairness::cid('shop', $name, $open * 1000);
    my $kp = kp($MASTER, $cid, 'S' x 16);
    my $tag = "{shop:g:$name:" . unpack('H*', $cid) . '}';
    my ($seq, $first, $bytes, $voided) = (0, 0, '', 0);
    my @entry;

    for my $e (@$entries) {
        my ($member, $tickets) = @$e;
        my $void = $member eq 'void' ? $entry[$tickets] : undef;

        $entry[$seq] = {
            cid => $cid, seq => $seq, first => $first,
            t => $open * 1000 + $seq, tickets => $tickets, method => 1,
            $void ? (%$void, flags => 1, commit => "\0" x 32, seq => $seq,
                     t => $open * 1000 + $seq)
                  : (person => person($kp, $cid, $member),
                     commit => entry_commit('s' x 16, $member, "k$seq")),
        };

        $bytes .= entry($entry[$seq++]);
        $first += $tickets if !$void;
        $voided += $void->{tickets} if $void;
    }

    length($bytes) <= 4096 * 132 or die "one chunk at most\n";

    $t->redis->call('HSET', "$tag:meta", 'salt', 'S' x 16, 'secret', 'main');
    $t->redis->call('SET', "$tag:e:0", $bytes) if $seq;
    $t->redis->call('SET', "$tag:s", join '',
        map { Loyalty::MsgPack::encode($_) } 1, $seq, 0, 1, 0, 0, $first,
        $voided);

    return $tag;
}


# the chunk that entry $seq gets into, as if there had been so many before it

sub fill {
    my ($t, $tag, $seq) = @_;
    my ($cid) = $tag =~ /:([0-9a-f]{32})\}/;
    my $last = entry({ cid => pack('H*', $cid), seq => $seq - 1, t => 0,
                       first => 0, tickets => 1, person => $Z, commit => $Z,
                       method => 1 });

    $t->redis->call('SET', "$tag:e:" . int($seq / 4096),
                    "\0" x (132 * ($seq % 4096 - 1)) . $last);

    return 132 * ($seq % 4096);
}


# a note as nginx signs it

sub note {
    my ($t, $kind, $statement) = @_;
    my $dir = $t->dir;
    my $seed = HMAC($MASTER, T('sign-key') . lp('shop'));
    my $text = "nginx-loyalty/1 $kind\n" . encode_base64($statement, '') . "\n";
    my ($name, $hash) = split /\+/, $t->get('/fair/vkey')->body;

    write_file("$dir/note.der", pack('H*', '302e020100300506032b657004220420')
                                . $seed);
    write_file("$dir/note.text", $text);
    my $sign = "openssl pkeyutl -sign -keyform DER -inkey $dir/note.der"
               . " -rawin -in $dir/note.text";
    my $signature = `$sign`;
    length $signature == 64 or die "openssl does not sign\n";

    return "$text\n\xe2\x80\x94 $name "
           . encode_base64(pack('H*', $hash) . $signature, '') . "\n";
}


sub new {
    my ($class, $t, $name, $program) = @_;
    my $self = bless { t => $t, name => $name }, $class;

    $t->wait_for(sub {
        my $games = $t->get('/fair/games')->body // '';
        ($self->{cid}) = $games =~ /^\Q$name\E ([0-9a-f]{32}) /m;
        return $self->{cid}
               && $self->fetch('manifest')->status == 200;
    }) or die "sweepstakes $name is not registered\n";

    return $self;
}


sub cid { return $_[0]{cid} }
sub t { return $_[0]{t} }


sub fetch {
    my ($self, $file) = @_;
    return $self->t->get("/fair/$self->{name}/$self->{cid}/$file");
}


sub file {
    my ($self, $file) = @_;
    my $r = $self->fetch($file);
    return $r->status == 200 ? $r->body : undef;
}


sub enter {
    my ($self, $member, $body, %o) = @_;

    return $self->t->post("/loyalty/sweepstakes/$self->{name}/entries", $body,
        headers => { 'X-Member' => $member,
                     'Idempotency-Key' => $o{key} // 'key ' . $number++ });
}


sub show {
    my ($self, $member) = @_;
    return $self->t->get("/loyalty/sweepstakes/$self->{name}",
        headers => { 'X-Member' => $member // 'somebody' })->json;
}


sub claim {
    my ($self, $member) = @_;
    return $self->t->post("/loyalty/sweepstakes/$self->{name}/claims", undef,
                          headers => { 'X-Member' => $member });
}


sub admin {
    my ($self, $path, $body, %o) = @_;
    return $self->t->post("/loyalty-admin/sweepstakes/$self->{name}/$path",
                          $body, %o);
}


sub wait_for_state {
    my ($self, $state, $seconds) = @_;
    return $self->t->wait_for(sub { $self->show->{state} eq $state },
                              $seconds);
}


# the statement of the last note of a file

sub statement {
    my ($self, $file) = @_;
    my @lines = split /\n/, $self->file($file);
    return decode_base64($lines[-3]);
}


sub manifest {
    my ($self) = @_;
    my $bytes = $self->statement('manifest');
    my %m = (mh => H($bytes));

    length $bytes == 344 or die "not a manifest\n";
    @m{qw(tag cid version prev kind mode open close length epochs rules terms
          prizes chain round seed kp anchor winners alternates flags)} =
        unpack 'a25 a16 N a32 C C Q> Q> N N a32 a32 a32 a32 Q> a32 a32 a32'
               . ' N N C', $bytes;

    return \%m;
}


sub close {
    my ($self) = @_;
    my %c;

    @c{qw(tag mh entries tickets root t)} =
        unpack 'a22 a32 Q> Q> a32 Q>', $self->statement('close');

    return \%c;
}


# rows of the prize table: [name, stock]

sub prizes {
    my ($self, $version) = @_;
    my $bytes = $self->file("prizes-$version");
    my ($n) = unpack 'x23 N', $bytes;
    my @rows;

    substr $bytes, 0, 27, '';

    for (1 .. $n) {
        my ($name, $stock) = unpack 'N/a Q> x16', $bytes;
        push @rows, [$name, $stock];
        substr $bytes, 0, 4 + length($name) + 24, '';
    }

    return @rows;
}


sub seed {
    my ($self) = @_;
    my ($hex) = ($self->file('reveal') // '') =~ /^seed \d+ ([0-9a-f]{64})$/m;
    return defined $hex ? pack('H*', $hex) : $Z;
}


# the randomness of a round, from the published signature

sub randomness {
    my ($self, $round) = @_;
    my ($hex) = ($self->file('beacons') // '') =~ /^$round ([0-9a-f]{96})$/m;
    return defined $hex ? H(pack 'H*', $hex) : undef;
}


sub draw_key {
    my ($self, $round) = @_;
    my ($m, $c) = ($self->manifest, $self->close);

    $round //= $m->{round};

    return H(T('draw-key') . $m->{mh} . $c->{root} . u64($c->{entries})
             . u64($c->{tickets}) . $m->{chain} . u64($round)
             . ($round ? $self->randomness($round) : $Z) . $self->seed);
}


sub recomputed {
    my ($self, $round) = @_;
    my @entries = entries($self->file('entries') // '');
    my $m = $self->manifest;
    my $text = '';

    my $root = root(map { leaf($_->{record}) } @entries);
    $root eq $self->close->{root} or return "another root\n";
    @entries == $self->close->{entries} or return "other entries\n";

    my @picks = winners($self->draw_key($round), 'pick', \@entries, 0,
                        $m->{winners} + $m->{alternates} - 1);
    my @rows = map { my ($row, $stock) = ($_, ($self->prizes($m->{version}))
                                              [$_][1]); ($row) x $stock }
               0 .. $self->prizes($m->{version}) - 1;

    for my $p (@picks) {
        $text .= "pick $p->{position} $p->{attempt} $p->{ticket} $p->{seq} "
                 . unpack('H*', $p->{person}) . "\n";
    }

    for my $i (0 .. $#rows) {
        my $p = $picks[$i];
        $text .= $p ? "winner $i $rows[$i] $p->{seq} "
                      . unpack('H*', $p->{person}) . "\n"
                    : "vacant $i $rows[$i]\n";
    }

    return $text;
}


sub save {
    my ($self, $dir) = @_;

    mkdir $dir;

    for my $file (qw(manifest terms-1 prizes-1 rules-1 entries close
                     timestamps cosignatures beacons reveal picks dq
                     evidence))
    {
        my $r = $self->fetch($file);
        write_file("$dir/$file", $r->body) if $r->status == 200;
    }

    write_file("$dir/vkey", $self->t->get('/fair/vkey')->body);

    return $dir;
}


sub write_file {
    my ($path, $bytes) = @_;
    open my $fh, '>:raw', $path or die "$path: $!\n";
    print {$fh} $bytes or die "$path: $!\n";
    CORE::close $fh or die "$path: $!\n";
}


sub verify {
    my ($self, @options) = @_;
    my $dir = $self->save($self->t->dir . "/proof-$self->{name}");
    my $verify = ($ENV{LOYALTY_BUILD} // "$root/build") . '/loyalty-verify';

    my $out = `$verify @options $dir 2>&1`;

    return ($? >> 8, $out);
}


1;
