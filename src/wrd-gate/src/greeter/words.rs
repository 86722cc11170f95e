//! The texts of the login screen in the client's language, which is told by its keyboard layout: RDP has no other word
//! for it.
//!
//! As with gettext the English text is the key, so that what the leader and the monitor say is translated here as well,
//! and what nobody has translated (the words of PAM's modules) is shown as it is. A key may have holes, where a name or a
//! reason stands; a reason may be translated itself. `cargo xtask tidy` looks for the keys in what others say.

mod pattern;

use std::borrow::Cow;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    #[default]
    English,
    German,
    French,
    Spanish,
    Chinese,
}

impl Language {
    /// By a keyboard layout of Windows', whose lowest ten bits are the primary language (MS-LCID 2.1).
    pub fn of_keyboard(layout: u32) -> Self {
        match layout & 0x3ff {
            0x07 => Self::German,
            0x0c => Self::French,
            0x0a => Self::Spanish,
            0x04 => Self::Chinese,
            _ => Self::English,
        }
    }

    /// A text in this language.
    pub fn say(self, english: &str) -> Cow<'_, str> {
        match self.column() {
            Some(column) => translate([WORDS, PROMPTS], column, english, DEPTH),
            None => Cow::Borrowed(english),
        }
    }

    /// Where its words stand in the tables.
    fn column(self) -> Option<usize> {
        match self {
            Self::English => None,
            Self::German => Some(0),
            Self::French => Some(1),
            Self::Spanish => Some(2),
            Self::Chinese => Some(3),
        }
    }
}

/// A text, and so many layers of what stands in its holes.
fn translate<'a>(tables: [&Table; 2], column: usize, english: &'a str, depth: u32) -> Cow<'a, str> {
    let entries = || tables.into_iter().flatten().filter_map(|(key, words)| Some((*key, *words.get(column)?)));
    if let Some((_, words)) = entries().find(|(key, _)| *key == english) {
        return Cow::Borrowed(words);
    }
    let Some((holes, words)) = entries().find_map(|(key, words)| Some((pattern::holes(key, english)?, words))) else {
        return Cow::Borrowed(english);
    };
    let inside = |hole| match depth.checked_sub(1) {
        Some(depth) => translate([PARTS, REASONS], column, hole, depth),
        None => Cow::Borrowed(hole),
    };
    Cow::Owned(pattern::fill(words, &holes.into_iter().map(inside).collect::<Vec<_>>()))
}

/// English; German, French, Spanish, simplified Chinese. `{}` stands for a number, a name or a reason: a translation has
/// them in the same order, or by number (`{2}`). Of two keys that a text may be of the first one counts.
type Table = [(&'static str, [&'static str; 4])];

/// A reason in a text, and what the system says in that reason.
const DEPTH: u32 = 2;

/// What stands by itself.
#[rustfmt::skip]
const WORDS: &Table = &[
    // The screen's own.
    ("Log in to your desktop", ["An Ihrem Desktop anmelden", "Connexion à votre bureau", "Inicie sesión en su escritorio", "登录您的桌面"]),
    ("User name", ["Benutzername", "Nom d’utilisateur", "Nombre de usuario", "用户名"]),
    ("Password", ["Passwort", "Mot de passe", "Contraseña", "密码"]),
    ("Keyboard layout", ["Tastaturbelegung", "Disposition du clavier", "Distribución del teclado", "键盘布局"]),
    ("Session", ["Sitzung", "Session", "Sesión", "会话"]),
    ("Last session", ["Letzte Sitzung", "Dernière session", "Última sesión", "上次的会话"]),
    ("Default desktop", ["Standard-Desktop", "Bureau par défaut", "Escritorio predeterminado", "默认桌面"]),
    ("Cancelling…", ["Wird abgebrochen …", "Annulation…", "Cancelando…", "正在取消…"]),
    ("Caps Lock is on", ["Feststelltaste ist an", "Verr. Maj. est activé", "Bloq Mayús está activado", "大写锁定已打开"]),
    ("Log in", ["Anmelden", "Se connecter", "Iniciar sesión", "登录"]),
    ("Continue", ["Weiter", "Continuer", "Continuar", "继续"]),
    ("Cancel", ["Abbrechen", "Annuler", "Cancelar", "取消"]),
    ("Close", ["Schließen", "Fermer", "Cerrar", "关闭"]),
    ("Checking…", ["Wird geprüft …", "Vérification…", "Comprobando…", "正在验证…"]),
    ("Starting your desktop…", ["Ihr Desktop wird gestartet …", "Démarrage de votre bureau…", "Iniciando su escritorio…", "正在启动您的桌面…"]),
    ("You cannot be logged in now", ["Die Anmeldung ist jetzt nicht möglich", "Connexion impossible pour le moment", "Ahora no se puede iniciar sesión", "现在无法登录"]),
    ("Type your user name.", ["Geben Sie Ihren Benutzernamen ein.", "Saisissez votre nom d’utilisateur.", "Escriba su nombre de usuario.", "请输入用户名。"]),
    ("This user name is too long.", ["Dieser Benutzername ist zu lang.", "Ce nom d’utilisateur est trop long.", "Este nombre de usuario es demasiado largo.", "用户名过长。"]),
    ("This password is too long.", ["Dieses Passwort ist zu lang.", "Ce mot de passe est trop long.", "Esta contraseña es demasiado larga.", "密码过长。"]),
    ("This answer is too long.", ["Diese Antwort ist zu lang.", "Cette réponse est trop longue.", "Esta respuesta es demasiado larga.", "回答过长。"]),
    ("{} s left", ["noch {} s", "encore {} s", "quedan {} s", "剩余 {} 秒"]),
    // Of the gate.
    ("The login cannot be tried again. Please connect again.", ["Die Anmeldung kann nicht wiederholt werden. Bitte verbinden Sie sich neu.", "La connexion ne peut pas être retentée. Veuillez vous reconnecter.", "No se puede reintentar el inicio de sesión. Conéctese de nuevo.", "无法再次尝试登录。请重新连接。"]),
    ("The login took too long. Please connect again.", ["Die Anmeldung hat zu lange gedauert. Bitte verbinden Sie sich neu.", "La connexion a pris trop de temps. Veuillez vous reconnecter.", "El inicio de sesión tardó demasiado. Conéctese de nuevo.", "登录时间过长。请重新连接。"]),
    ("The login service is confused. Please connect again.", ["Der Anmeldedienst ist durcheinander. Bitte verbinden Sie sich neu.", "Le service de connexion est perturbé. Veuillez vous reconnecter.", "El servicio de inicio de sesión está confuso. Conéctese de nuevo.", "登录服务出现异常。请重新连接。"]),
    ("The login service was interrupted. Please connect again.", ["Der Anmeldedienst wurde unterbrochen. Bitte verbinden Sie sich neu.", "Le service de connexion a été interrompu. Veuillez vous reconnecter.", "El servicio de inicio de sesión se interrumpió. Conéctese de nuevo.", "登录服务已中断。请重新连接。"]),
    // Of the leader.
    ("The user name or the password is wrong.", ["Der Benutzername oder das Passwort ist falsch.", "Le nom d’utilisateur ou le mot de passe est incorrect.", "El nombre de usuario o la contraseña no es correcto.", "用户名或密码错误。"]),
    ("This account has expired. Ask the administrator of this machine.", ["Dieses Konto ist abgelaufen. Fragen Sie den Administrator dieses Rechners.", "Ce compte a expiré. Adressez-vous à l’administrateur de cette machine.", "Esta cuenta ha caducado. Pregunte al administrador de este equipo.", "此账户已过期。请联系本机管理员。"]),
    ("This account is locked. Ask the administrator of this machine.", ["Dieses Konto ist gesperrt. Fragen Sie den Administrator dieses Rechners.", "Ce compte est verrouillé. Adressez-vous à l’administrateur de cette machine.", "Esta cuenta está bloqueada. Pregunte al administrador de este equipo.", "此账户已被锁定。请联系本机管理员。"]),
    ("This account may not log in here now. Ask the administrator of this machine.", ["Dieses Konto darf sich hier jetzt nicht anmelden. Fragen Sie den Administrator dieses Rechners.", "Ce compte ne peut pas se connecter ici maintenant. Adressez-vous à l’administrateur de cette machine.", "Esta cuenta no puede iniciar sesión aquí ahora. Pregunte al administrador de este equipo.", "此账户现在不能在此登录。请联系本机管理员。"]),
    ("The user database cannot be reached at the moment. Try again later.", ["Die Benutzerdatenbank ist zurzeit nicht erreichbar. Versuchen Sie es später noch einmal.", "La base des utilisateurs est injoignable pour le moment. Réessayez plus tard.", "Ahora no se puede acceder a la base de datos de usuarios. Inténtelo más tarde.", "目前无法访问用户数据库。请稍后再试。"]),
    ("This machine cannot check passwords: its login service is not set up. The log says more.", ["Dieser Rechner kann keine Passwörter prüfen: Sein Anmeldedienst ist nicht eingerichtet. Mehr steht im Protokoll.", "Cette machine ne peut pas vérifier les mots de passe : son service de connexion n’est pas configuré. Le journal en dit plus.", "Este equipo no puede comprobar contraseñas: su servicio de inicio de sesión no está configurado. El registro dice más.", "本机无法验证密码：登录服务尚未配置。详见日志。"]),
    ("The login was cancelled.", ["Die Anmeldung wurde abgebrochen.", "La connexion a été annulée.", "Se canceló el inicio de sesión.", "登录已取消。"]),
    ("The login service of this machine asks too many questions. Ask its administrator.", ["Der Anmeldedienst dieses Rechners stellt zu viele Fragen. Fragen Sie seinen Administrator.", "Le service de connexion de cette machine pose trop de questions. Adressez-vous à son administrateur.", "El servicio de inicio de sesión de este equipo hace demasiadas preguntas. Pregunte a su administrador.", "本机的登录服务提问过多。请联系管理员。"]),
    ("Your password has expired and was not changed.", ["Ihr Passwort ist abgelaufen und wurde nicht geändert.", "Votre mot de passe a expiré et n’a pas été changé.", "Su contraseña ha caducado y no se cambió.", "您的密码已过期，且未更改。"]),
    ("Your password has expired and was not changed. {}", ["Ihr Passwort ist abgelaufen und wurde nicht geändert. {}", "Votre mot de passe a expiré et n’a pas été changé. {}", "Su contraseña ha caducado y no se cambió. {}", "您的密码已过期，且未更改。{}"]),
    ("Your password has expired, and this machine does not take a new one.", ["Ihr Passwort ist abgelaufen, und dieser Rechner nimmt kein neues an.", "Votre mot de passe a expiré et cette machine n’en accepte pas de nouveau.", "Su contraseña ha caducado y este equipo no acepta una nueva.", "您的密码已过期，而本机不接受新密码。"]),
    ("Your password has expired. Log in with it to choose a new one.", ["Ihr Passwort ist abgelaufen. Melden Sie sich damit an, um ein neues zu wählen.", "Votre mot de passe a expiré. Connectez-vous avec lui pour en choisir un nouveau.", "Su contraseña ha caducado. Inicie sesión con ella para elegir una nueva.", "您的密码已过期。请用它登录以设置新密码。"]),
    ("The login service asks:", ["Der Anmeldedienst fragt:", "Le service de connexion demande :", "El servicio de inicio de sesión pregunta:", "登录服务询问："]),
    ("The login took too long.", ["Die Anmeldung hat zu lange gedauert.", "La connexion a pris trop de temps.", "El inicio de sesión tardó demasiado.", "登录时间过长。"]),
    ("The login service does not answer. Try again.", ["Der Anmeldedienst antwortet nicht. Versuchen Sie es noch einmal.", "Le service de connexion ne répond pas. Réessayez.", "El servicio de inicio de sesión no responde. Inténtelo de nuevo.", "登录服务没有响应。请重试。"]),
    ("The login service was restarted. Try again.", ["Der Anmeldedienst wurde neu gestartet. Versuchen Sie es noch einmal.", "Le service de connexion a été redémarré. Réessayez.", "El servicio de inicio de sesión se reinició. Inténtelo de nuevo.", "登录服务已重新启动。请重试。"]),
    ("The session was told to end before it was ready.", ["Die Sitzung wurde beendet, bevor sie bereit war.", "La session a été arrêtée avant d’être prête.", "Se ordenó terminar la sesión antes de que estuviera lista.", "会话在就绪之前被要求结束。"]),
    ("The desktop was not ready in time.", ["Der Desktop war nicht rechtzeitig bereit.", "Le bureau n’a pas été prêt à temps.", "El escritorio no estuvo listo a tiempo.", "桌面未能及时就绪。"]),
    ("Your session is just ending. Try again in a moment.", ["Ihre Sitzung wird gerade beendet. Versuchen Sie es gleich noch einmal.", "Votre session est en train de se terminer. Réessayez dans un instant.", "Su sesión está terminando. Inténtelo de nuevo en un momento.", "您的会话正在结束。请稍后再试。"]),
    ("Your desktop does not answer.", ["Ihr Desktop antwortet nicht.", "Votre bureau ne répond pas.", "Su escritorio no responde.", "您的桌面没有响应。"]),
    ("The account {} may not log in: its shell is {}.", ["Das Konto {} darf sich nicht anmelden: Seine Shell ist {}.", "Le compte {} ne peut pas se connecter : son shell est {}.", "La cuenta {} no puede iniciar sesión: su shell es {}.", "账户 {} 不能登录：其 shell 是 {}。"]),
    ("The shell of {}, {}, cannot be run.", ["Die Shell von {}, {}, kann nicht ausgeführt werden.", "Le shell de {}, {}, ne peut pas être exécuté.", "El shell de {}, {}, no se puede ejecutar.", "{} 的 shell {} 无法运行。"]),
    ("This connection was begun by {}: nobody else can log in on it.", ["Diese Verbindung wurde von {} begonnen: Niemand sonst kann sich auf ihr anmelden.", "Cette connexion a été commencée par {} : personne d’autre ne peut s’y connecter.", "Esta conexión la inició {}: nadie más puede iniciar sesión en ella.", "此连接由 {} 发起：其他人不能在此连接上登录。"]),
    ("{} has a graphical session already: {}. Log out there, then log in here again.", ["{} hat schon eine grafische Sitzung: {}. Melden Sie sich dort ab und dann hier wieder an.", "{} a déjà une session graphique : {}. Déconnectez-vous là-bas, puis reconnectez-vous ici.", "{} ya tiene una sesión gráfica: {}. Ciérrela allí y vuelva a iniciar sesión aquí.", "{} 已有一个图形会话：{}。请先在那里注销，再在此重新登录。"]),
    ("The session of {} cannot be opened: {}.", ["Die Sitzung von {} kann nicht geöffnet werden: {}.", "La session de {} ne peut pas être ouverte : {}.", "No se puede abrir la sesión de {}: {}.", "无法打开 {} 的会话：{}。"]),
    ("The session cannot be started: {}.", ["Die Sitzung kann nicht gestartet werden: {}.", "La session ne peut pas être démarrée : {}.", "No se puede iniciar la sesión: {}.", "无法启动会话：{}。"]),
    ("The home folder {} of {} cannot be read: {}.", ["Der persönliche Ordner {} von {} kann nicht gelesen werden: {}.", "Le dossier personnel {} de {} ne peut pas être lu : {}.", "No se puede leer la carpeta personal {} de {}: {}.", "无法读取 {2} 的主文件夹 {1}：{3}。"]),
    ("The desktop cannot start: {}: {}.", ["Der Desktop kann nicht starten: {}: {}.", "Le bureau ne peut pas démarrer : {} : {}.", "El escritorio no se puede iniciar: {}: {}.", "桌面无法启动：{}：{}。"]),
    ("The desktop cannot start: {}.", ["Der Desktop kann nicht starten: {}.", "Le bureau ne peut pas démarrer : {}.", "El escritorio no se puede iniciar: {}.", "桌面无法启动：{}。"]),
    ("The desktop ended before it was ready: {}. The log of this session says more.", ["Der Desktop endete, bevor er bereit war: {}. Mehr steht im Protokoll dieser Sitzung.", "Le bureau s’est arrêté avant d’être prêt : {}. Le journal de cette session en dit plus.", "El escritorio terminó antes de estar listo: {}. El registro de esta sesión dice más.", "桌面在就绪之前已结束：{}。详见此会话的日志。"]),
    ("The desktop ended: {}.", ["Der Desktop endete: {}.", "Le bureau s’est arrêté : {}.", "El escritorio terminó: {}.", "桌面已结束：{}。"]),
    // Of the monitor.
    ("Too many logins from your address have failed. Please try again in a few minutes.", ["Zu viele Anmeldungen von Ihrer Adresse sind fehlgeschlagen. Bitte versuchen Sie es in einigen Minuten wieder.", "Trop de connexions ont échoué depuis votre adresse. Réessayez dans quelques minutes.", "Han fallado demasiados inicios de sesión desde su dirección. Inténtelo en unos minutos.", "来自您地址的失败登录过多。请几分钟后再试。"]),
    ("Too many people are logging in just now. Please connect again.", ["Gerade melden sich zu viele Leute an. Bitte verbinden Sie sich neu.", "Trop de personnes se connectent en ce moment. Veuillez vous reconnecter.", "Hay demasiadas personas iniciando sesión. Conéctese de nuevo.", "目前登录人数过多。请重新连接。"]),
    ("The server has no room for another connection.", ["Der Server hat keinen Platz für eine weitere Verbindung.", "Le serveur n’a plus de place pour une autre connexion.", "El servidor no admite más conexiones.", "服务器无法再接受新连接。"]),
    ("The login service is not available.", ["Der Anmeldedienst ist nicht verfügbar.", "Le service de connexion n’est pas disponible.", "El servicio de inicio de sesión no está disponible.", "登录服务不可用。"]),
    ("Your session cannot be reached.", ["Ihre Sitzung ist nicht erreichbar.", "Votre session est injoignable.", "No se puede acceder a su sesión.", "无法连接到您的会话。"]),
    ("Your session could not be started.", ["Ihre Sitzung konnte nicht gestartet werden.", "Votre session n’a pas pu démarrer.", "No se pudo iniciar su sesión.", "无法启动您的会话。"]),
    ("Your session did not start in time.", ["Ihre Sitzung ist nicht rechtzeitig gestartet.", "Votre session n’a pas démarré à temps.", "Su sesión no se inició a tiempo.", "您的会话未能及时启动。"]),
    ("Your session does not answer.", ["Ihre Sitzung antwortet nicht.", "Votre session ne répond pas.", "Su sesión no responde.", "您的会话没有响应。"]),
    ("Your session is ending. Try again in a moment.", ["Ihre Sitzung wird beendet. Versuchen Sie es gleich noch einmal.", "Votre session se termine. Réessayez dans un instant.", "Su sesión está terminando. Inténtelo de nuevo en un momento.", "您的会话正在结束。请稍后再试。"]),
    ("Your previous session is still ending. Try again in a moment.", ["Ihre vorige Sitzung wird noch beendet. Versuchen Sie es gleich noch einmal.", "Votre session précédente se termine encore. Réessayez dans un instant.", "Su sesión anterior aún está terminando. Inténtelo de nuevo en un momento.", "您之前的会话仍在结束。请稍后再试。"]),
    ("Your session ended as soon as it had started.", ["Ihre Sitzung endete gleich nach dem Start.", "Votre session s’est terminée dès son démarrage.", "Su sesión terminó nada más empezar.", "您的会话刚启动就结束了。"]),
    ("This account is not the one that was enrolled. Log in again.", ["Dieses Konto ist nicht das, das eingetragen wurde. Melden Sie sich neu an.", "Ce compte n’est pas celui qui a été inscrit. Reconnectez-vous.", "Esta cuenta no es la que se inscribió. Inicie sesión de nuevo.", "此账户不是所登记的账户。请重新登录。"]),
    ("This account is not the one that has the session. Log in again.", ["Dieses Konto ist nicht das, dem die Sitzung gehört. Melden Sie sich neu an.", "Ce compte n’est pas celui qui possède la session. Reconnectez-vous.", "Esta cuenta no es la que tiene la sesión. Inicie sesión de nuevo.", "此账户不是该会话的所有者。请重新登录。"]),
    ("Your session has ended. Log in again to start another one.", ["Ihre Sitzung ist beendet. Melden Sie sich neu an, um eine andere zu beginnen.", "Votre session est terminée. Reconnectez-vous pour en ouvrir une autre.", "Su sesión ha terminado. Inicie sesión de nuevo para empezar otra.", "您的会话已结束。请重新登录以开始新的会话。"]),
    ("Your session has ended.", ["Ihre Sitzung ist beendet.", "Votre session est terminée.", "Su sesión ha terminado.", "您的会话已结束。"]),
    ("Your session is out of order.", ["Ihre Sitzung ist gestört.", "Votre session est défaillante.", "Su sesión no funciona.", "您的会话出现故障。"]),
    ("The login ended while its session was awaited.", ["Die Anmeldung endete, während auf ihre Sitzung gewartet wurde.", "La connexion s’est terminée pendant l’attente de sa session.", "El inicio de sesión terminó mientras se esperaba su sesión.", "在等待会话时登录已结束。"]),
];

/// What stands in a hole of the others, or of one of these.
#[rustfmt::skip]
const PARTS: &Table = &[
    // Where somebody has a session already.
    ("session {} on {} ({})", ["Sitzung {} an {} ({})", "session {} sur {} ({})", "sesión {} en {} ({})", "{2} ({3}) 上的会话 {1}"]),
    ("session {} on {}", ["Sitzung {} an {}", "session {} sur {}", "sesión {} en {}", "{2} 上的会话 {1}"]),
    ("session {}, used from {}", ["Sitzung {}, benutzt von {} aus", "session {}, utilisée depuis {}", "sesión {}, usada desde {}", "从 {2} 使用的会话 {1}"]),
    ("session {}", ["Sitzung {}", "session {}", "sesión {}", "会话 {}"]),
    // How the desktop ended.
    ("it ended", ["Er hat sich beendet", "il s’est terminé", "se cerró", "已退出"]),
    ("it exited with status {}", ["Er endete mit Status {}", "il s’est terminé avec le code {}", "salió con el código {}", "退出状态为 {}"]),
    ("it was killed by {}", ["Er wurde durch {} beendet", "il a été tué par {}", "fue detenido por {}", "被 {} 终止"]),
    ("it is not answering", ["Er antwortet nicht", "il ne répond pas", "no responde", "没有响应"]),
    ("the session was told to end", ["Die Sitzung sollte enden", "la session a reçu l’ordre de s’arrêter", "se ordenó terminar la sesión", "会话被要求结束"]),
    ("the session was terminated", ["Die Sitzung wurde beendet", "la session a été arrêtée", "se terminó la sesión", "会话已被终止"]),
    // Why there is none.
    ("it does not exist", ["Er existiert nicht", "il n’existe pas", "no existe", "它不存在"]),
    ("permission denied", ["Zugriff verweigert", "accès refusé", "acceso denegado", "没有权限"]),
    ("cannot become the user", ["Wechsel zum Benutzer nicht möglich", "impossible de devenir l’utilisateur", "no se puede cambiar al usuario", "无法切换到该用户"]),
    ("there is one already, which the login service does not know of", ["Es gibt schon eine, von der der Anmeldedienst nichts weiß", "il y en a déjà une que le service de connexion ne connaît pas", "ya hay una que el servicio de inicio de sesión no conoce", "已有一个登录服务不知道的会话"]),
    ("no XDG_RUNTIME_DIR", ["kein XDG_RUNTIME_DIR", "pas de XDG_RUNTIME_DIR", "no hay XDG_RUNTIME_DIR", "没有 XDG_RUNTIME_DIR"]),
    ("cannot make {}", ["{} kann nicht angelegt werden", "impossible de créer {}", "no se puede crear {}", "无法创建 {}"]),
    ("cannot remove {}", ["{} kann nicht entfernt werden", "impossible de supprimer {}", "no se puede eliminar {}", "无法删除 {}"]),
    ("cannot listen at {}", ["Auf {} kann nicht gelauscht werden", "impossible d’écouter sur {}", "no se puede escuchar en {}", "无法监听 {}"]),
    ("cannot find our own executable", ["Das eigene Programm ist nicht zu finden", "notre propre programme est introuvable", "no se encuentra el propio programa", "找不到自身的程序"]),
    ("cannot fork the worker", ["Der Prozess der Sitzung kann nicht gestartet werden", "le processus de la session ne peut pas être lancé", "no se puede iniciar el proceso de la sesión", "无法启动会话进程"]),
    ("the worker talks nonsense", ["Der Prozess der Sitzung ist nicht zu verstehen", "le processus de la session est incompréhensible", "no se entiende el proceso de la sesión", "无法理解会话进程"]),
    ("there is no home folder", ["Es gibt keinen persönlichen Ordner", "il n’y a pas de dossier personnel", "no hay carpeta personal", "没有主文件夹"]),
    ("there is no folder for sockets", ["Es gibt keinen Ordner für Sockets", "il n’y a pas de dossier pour les sockets", "no hay carpeta para los sockets", "没有用于套接字的文件夹"]),
    ("{} is there but is not a private folder of this user", ["{} ist da, aber kein privater Ordner dieses Benutzers", "{} existe mais n’est pas un dossier privé de cet utilisateur", "{} existe, pero no es una carpeta privada de este usuario", "{} 已存在，但不是此用户的私有文件夹"]),
    ("no Wayland socket in {}", ["kein Wayland-Socket in {}", "pas de socket Wayland dans {}", "no hay socket de Wayland en {}", "{} 中没有 Wayland 套接字"]),
    ("no keyboard layout can be loaded (is xkb-data installed?)", ["Keine Tastaturbelegung kann geladen werden (ist xkb-data installiert?)", "aucune disposition du clavier ne peut être chargée (xkb-data est-il installé ?)", "no se puede cargar ninguna distribución del teclado (¿está instalado xkb-data?)", "无法加载键盘布局（是否已安装 xkb-data？）"]),
];

/// What PAM's modules ask for again and again.
#[rustfmt::skip]
const PROMPTS: &Table = &[
    ("Password:", ["Passwort:", "Mot de passe :", "Contraseña:", "密码："]),
    ("Current password:", ["Bisheriges Passwort:", "Mot de passe actuel :", "Contraseña actual:", "当前密码："]),
    ("New password:", ["Neues Passwort:", "Nouveau mot de passe :", "Contraseña nueva:", "新密码："]),
    ("Retype new password:", ["Neues Passwort noch einmal:", "Retapez le nouveau mot de passe :", "Repita la contraseña nueva:", "再次输入新密码："]),
    ("Verification code:", ["Bestätigungscode:", "Code de vérification :", "Código de verificación:", "验证码："]),
];

/// Reasons that are not in our words.
#[rustfmt::skip]
const REASONS: &Table = &[
    // PAM's, for a session that it does not open.
    ("Cannot make/remove an entry for the specified session", ["Für diese Sitzung kann kein Eintrag angelegt oder entfernt werden", "impossible de créer ou de supprimer une entrée pour cette session", "no se puede crear o eliminar una entrada para esta sesión", "无法为此会话创建或删除条目"]),
    ("System error", ["Systemfehler", "erreur du système", "error del sistema", "系统错误"]),
    ("Module is unknown", ["Ein Modul ist unbekannt", "module inconnu", "módulo desconocido", "未知模块"]),
    // The C library's.
    ("{} (os error {})", ["{} (Systemfehler {})", "{} (erreur système {})", "{} (error del sistema {})", "{}（系统错误 {}）"]),
    ("No such file or directory", ["Datei oder Verzeichnis nicht gefunden", "fichier ou dossier introuvable", "no existe el archivo o el directorio", "没有那个文件或目录"]),
    ("Permission denied", ["Zugriff verweigert", "accès refusé", "acceso denegado", "没有权限"]),
    ("Not a directory", ["kein Verzeichnis", "ce n’est pas un dossier", "no es un directorio", "不是目录"]),
    ("No space left on device", ["kein Speicherplatz mehr verfügbar", "plus d’espace disponible", "no queda espacio de almacenamiento", "设备上没有剩余空间"]),
    ("Input/output error", ["Eingabe-/Ausgabefehler", "erreur d’entrée/sortie", "error de entrada/salida", "输入/输出错误"]),
    ("Stale file handle", ["veralteter Dateiverweis", "référence de fichier obsolète", "referencia de archivo obsoleta", "过期的文件句柄"]),
    ("Transport endpoint is not connected", ["keine Verbindung zum Dateisystem", "système de fichiers non connecté", "sin conexión con el sistema de archivos", "与文件系统没有连接"]),
];

#[cfg(test)]
mod tests {
    use super::pattern::tests::numbers;
    use super::*;
    use proptest::prelude::*;

    const TABLES: [&Table; 4] = [WORDS, PARTS, PROMPTS, REASONS];
    const OTHERS: [Language; 4] = [Language::German, Language::French, Language::Spanish, Language::Chinese];
    const ALL: [Language; 5] =
        [Language::English, Language::German, Language::French, Language::Spanish, Language::Chinese];

    #[test]
    fn the_language_is_that_of_the_keyboard() {
        for (layout, language) in [
            (0x0409, Language::English),
            (0x0407, Language::German),
            (0x0807, Language::German),
            (0x0001_0407, Language::German),
            (0x080c, Language::French),
            (0x040a, Language::Spanish),
            (0x080a, Language::Spanish),
            (0x0804, Language::Chinese),
            (0xE001_0804, Language::Chinese),
            (0x0411, Language::English),
            (0, Language::English),
        ] {
            assert_eq!(Language::of_keyboard(layout), language, "{layout:#x}");
        }
    }

    #[test]
    fn what_nobody_has_translated_is_shown_as_it_is() {
        for language in ALL {
            assert_eq!(language.say("BAD PASSWORD: it is too short"), "BAD PASSWORD: it is too short");
        }
    }

    #[test]
    fn every_text_is_there_once_in_all_languages_and_ends_alike() {
        for (index, (key, words)) in TABLES.into_iter().flatten().enumerate() {
            let mut others = TABLES.into_iter().flatten().skip(index + 1);
            assert!(!others.any(|(other, _)| other == key), "{key} is there twice");
            for word in words {
                assert!(!word.is_empty() && word.trim() == *word, "{key}: {word:?}");
                assert_eq!(word.ends_with(['.', '。']), key.ends_with('.'), "{key}: {word}");
            }
        }
    }

    #[test]
    fn every_text_has_its_holes_in_all_languages() {
        for (key, words) in TABLES.into_iter().flatten() {
            let holes: Vec<usize> = (1..=key.matches("{}").count()).collect();
            assert_eq!(numbers(key), holes, "{key}");
            assert!(!key.contains("{}{}"), "nothing says where the first hole of {key} ends");
            for word in words {
                let mut of_word = numbers(word);
                of_word.sort_unstable();
                assert_eq!(of_word, holes, "{key}: {word}");
            }
        }
    }

    #[test]
    fn what_stands_in_the_holes_is_kept() {
        let says = [
            "Das Konto bob darf sich nicht anmelden: Seine Shell ist /bin/false.",
            "Le compte bob ne peut pas se connecter : son shell est /bin/false.",
            "La cuenta bob no puede iniciar sesión: su shell es /bin/false.",
            "账户 bob 不能登录：其 shell 是 /bin/false。",
        ];
        for (language, says) in OTHERS.into_iter().zip(says) {
            assert_eq!(language.say("The account bob may not log in: its shell is /bin/false."), says);
        }
        // In another order.
        assert_eq!(
            Language::Chinese.say("The home folder /home/bob of bob cannot be read: Is it? There?."),
            "无法读取 bob 的主文件夹 /home/bob：Is it? There?。"
        );
        // Also what looks like a hole, or like another part of the text.
        assert_eq!(
            Language::German.say("The shell of {2}, {}, cannot be run."),
            "Die Shell von {2}, {}, kann nicht ausgeführt werden."
        );
        assert_eq!(
            Language::German.say("The account a may not log in: its shell is b may not log in: its shell is c."),
            "Das Konto a darf sich nicht anmelden: Seine Shell ist b may not log in: its shell is c."
        );
        assert_eq!(
            Language::German.say("The session of The session of a cannot be opened: b."),
            "Die Sitzung von The session of a kann nicht geöffnet werden: b."
        );
    }

    #[test]
    fn a_reason_is_translated_too_and_what_is_in_it() {
        for (english, german) in [
            (
                "The desktop ended before it was ready: it exited with status 1. The log of this session says more.",
                "Der Desktop endete, bevor er bereit war: Er endete mit Status 1. Mehr steht im Protokoll dieser Sitzung.",
            ),
            (
                "bob has a graphical session already: session 3 on seat0 (tty2). Log out there, then log in here again.",
                "bob hat schon eine grafische Sitzung: Sitzung 3 an seat0 (tty2). Melden Sie sich dort ab und dann hier wieder an.",
            ),
            (
                "The home folder /home/bob of bob cannot be read: Not a directory (os error 20).",
                "Der persönliche Ordner /home/bob von bob kann nicht gelesen werden: kein Verzeichnis (Systemfehler 20).",
            ),
            (
                "The desktop cannot start: no Wayland socket in /run/user/7: Permission denied (os error 13).",
                "Der Desktop kann nicht starten: kein Wayland-Socket in /run/user/7: Zugriff verweigert (Systemfehler 13).",
            ),
            (
                "Your password has expired and was not changed. BAD PASSWORD: it is too short",
                "Ihr Passwort ist abgelaufen und wurde nicht geändert. BAD PASSWORD: it is too short",
            ),
        ] {
            assert_eq!(Language::German.say(english), german);
        }
        // Only so deep, and only there.
        let deep = "The session cannot be started: cannot make cannot make cannot make x.";
        assert_eq!(
            Language::German.say(deep),
            "Die Sitzung kann nicht gestartet werden: cannot make x kann nicht angelegt werden kann nicht angelegt werden."
        );
        assert_eq!(Language::German.say("it ended"), "it ended");
    }

    proptest! {
        /// Of every key with holes, so that none is hidden behind another.
        #[test]
        fn every_key_filled_is_said_as_its_translation_filled(values in prop::array::uniform3("[^ \\PC]{1,40}")) {
            let values = values.each_ref().map(|value| Cow::Borrowed(value.as_str()));
            for (tables, depth) in [([WORDS, PROMPTS], DEPTH), ([PARTS, REASONS], 0)] {
                for (key, [german, ..]) in tables.into_iter().flatten().filter(|(key, _)| key.contains("{}")) {
                    let english = pattern::fill(key, &values);
                    prop_assert_eq!(translate(tables, 0, &english, depth), pattern::fill(german, &values));
                }
            }
        }

        /// Whatever is said, made of what keys are made of.
        #[test]
        fn nothing_is_lost_of_what_is_not_understood(pieces in prop::collection::vec(piece(), 0..12)) {
            let text = pieces.concat();
            prop_assert_eq!(Language::English.say(&text), text.as_str());
            for language in OTHERS {
                let said = language.say(&text);
                prop_assert!(said.len() <= text.len() + MOST_ADDED, "{}", said);
                prop_assert!(text.matches('§').count() == said.matches('§').count(), "{}", said);
            }
        }
    }

    /// A part of some key, or something else.
    fn piece() -> impl Strategy<Value = String> {
        let literals: Vec<&str> = TABLES.into_iter().flatten().flat_map(|(key, _)| key.split("{}")).collect();
        prop_oneof![prop::sample::select(literals).prop_map(str::to_owned), "§|\\PC{0,8}"]
    }

    /// Of 512 bytes as of any other number of them.
    const MOST_ADDED: usize = 1024;

    #[test]
    fn every_letter_of_every_text_can_be_drawn() {
        for (_, words) in TABLES.into_iter().flatten() {
            for word in words {
                let missing: String = word.chars().filter(|c| !wrd_draw::can_draw(*c)).collect();
                assert!(missing.is_empty(), "{word}: no glyph for {missing:?}; run tools/han-font");
            }
        }
    }
}
