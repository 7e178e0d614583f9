"""First and last names for the kind `name`: of plain letters, so that every encoding has them."""

FIRST = (
    "Ada", "Adam", "Agnes", "Alan", "Alice", "Amina", "Anna", "Anton", "Arthur", "Astrid", "Bella", "Ben",
    "Carla", "Cecil", "Clara", "Conrad", "Dalia", "David", "Diana", "Edgar", "Elena", "Elias", "Emma", "Erik",
    "Esther", "Felix", "Fiona", "Flora", "Frank", "Grace", "Hanna", "Hugo", "Ida", "Igor", "Ines", "Isaac",
    "Ivan", "Jana", "Jonas", "Julia", "Karim", "Laura", "Leo", "Lina", "Louis", "Maria", "Martin", "Mila",
    "Nadia", "Noah", "Nora", "Oscar", "Paula", "Peter", "Rosa", "Samir", "Sara", "Simon", "Tessa", "Thomas",
    "Vera", "Victor", "Yasmin", "Zoe",
)  # fmt: skip
LAST = (
    "Adler", "Alvarez", "Bakker", "Barnes", "Bauer", "Becker", "Bell", "Berg", "Brandt", "Brown", "Carter",
    "Castro", "Claes", "Cole", "Costa", "Cruz", "Dahl", "Daniels", "Dubois", "Ellis", "Fischer", "Fontaine",
    "Foster", "Garcia", "Hansen", "Harris", "Holm", "Hughes", "Ivanov", "Jacobs", "Jensen", "Keller", "Kowalski",
    "Lambert", "Lang", "Larsen", "Lopez", "Martens", "Meyer", "Miller", "Moreau", "Morris", "Nilsen", "Novak",
    "Olsen", "Parker", "Peeters", "Petrov", "Price", "Quinn", "Reyes", "Richter", "Rossi", "Santos", "Schmidt",
    "Silva", "Singh", "Sorensen", "Stone", "Turner", "Vargas", "Weber", "Wood", "Young",
)  # fmt: skip
